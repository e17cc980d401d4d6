import { useState } from "preact/hooks";
import { mediumDate, t } from "../i18n";
import { maxDelay } from "../state/sending";
import { Dialog, Field } from "./common";

function at(days: number, hour: number, weekday?: number): Date {
  const date = new Date();
  date.setDate(date.getDate() + days);
  if (weekday !== undefined) date.setDate(date.getDate() + ((7 + weekday - date.getDay()) % 7 || 7));
  date.setHours(hour, 0, 0, 0);
  return date;
}

function localInput(date: Date): string {
  const local = new Date(date.getTime() - date.getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 16);
}

/** A time to send at, in the time zone of the browser. */
export function Later({ choose, close }: { choose: (at: Date) => void; close: () => void }) {
  const [value, setValue] = useState(localInput(at(1, 8)));
  const zone = t("later_zone", { zone: Intl.DateTimeFormat().resolvedOptions().timeZone.replaceAll("_", " ") });
  const latest = new Date(Date.now() + maxDelay() * 1000);
  const choices: [string, Date][] = [
    [t("later_hour"), new Date(Date.now() + 3_600_000)], [t("later_morning"), at(1, 8)], [t("later_monday"), at(0, 8, 1)],
  ];
  const chosen = new Date(value);
  const fits = chosen.getTime() > Date.now() + 30_000 && chosen <= latest;
  const send = (date: Date) => {
    close();
    choose(date);
  };
  return (
    <Dialog title={t("send_later")} close={close}>
      <div class="later">
        {choices.filter(([, date]) => date <= latest).map(([name, date]) => (
          <button type="button" key={name} class="button quiet later-choice" onClick={() => send(date)}>
            <span>{name}</span> <span class="muted">{mediumDate(date.toISOString())}</span>
          </button>
        ))}
        <Field label={t("later_at")} hint={`${zone} ${t("later_until", { time: mediumDate(latest.toISOString()) })}`}>
          {(id) => (
            <input
              id={id} type="datetime-local" value={value} min={localInput(new Date())} max={localInput(latest)}
              onInput={(event) => setValue(event.currentTarget.value)}
            />
          )}
        </Field>
      </div>
      <footer>
        <button type="button" class="button quiet" onClick={close}>{t("cancel")}</button>
        <button type="button" class="button primary" disabled={!fits} onClick={() => send(chosen)}>{t("schedule")}</button>
      </footer>
    </Dialog>
  );
}
