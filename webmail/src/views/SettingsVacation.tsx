import { useEffect, useState } from "preact/hooks";
import { t } from "../i18n";
import { VACATION } from "../jmap/client";
import type { GetResult, SetResult, VacationResponse } from "../jmap/types";
import { jmap, say, sayError } from "../state/app";
import { Check, Field, Spinner } from "./common";

function dayOf(iso: string | null): string {
  if (!iso) return "";
  const date = new Date(iso);
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 10);
}

/** Midnight of the reader's own time; after: of the day after, so that the last day counts in full. */
function instant(day: string, after: boolean): string | null {
  if (!day) return null;
  const [year, month, date] = day.split("-").map(Number) as [number, number, number];
  return new Date(year, month - 1, date + (after ? 1 : 0)).toISOString().replace(/\.\d+Z$/, "Z");
}

export function Vacation() {
  const [known, setKnown] = useState<VacationResponse | null>(null);
  const [on, setOn] = useState(false);
  const [from, setFrom] = useState("");
  const [to, setTo] = useState("");
  const [subject, setSubject] = useState("");
  const [text, setText] = useState("");
  const accountId = jmap().accountFor(VACATION);
  useEffect(() => {
    jmap().call<GetResult<VacationResponse>>("VacationResponse/get", { accountId, ids: ["singleton"] }).then((found) => {
      const one = found.list[0]!;
      setKnown(one);
      setOn(one.isEnabled);
      setFrom(dayOf(one.fromDate));
      setTo(one.toDate ? dayOf(new Date(new Date(one.toDate).getTime() - 1000).toISOString()) : "");
      setSubject(one.subject ?? "");
      setText(one.textBody ?? "");
    }, (error: unknown) => sayError("error_load", error));
  }, []);
  if (!known) return <Spinner />;
  const save = async (event: Event) => {
    event.preventDefault();
    const values = {
      isEnabled: on, fromDate: instant(from, false), toDate: instant(to, true), subject: subject.trim() || null,
      textBody: text.trim() ? text : null, htmlBody: null,
    };
    try {
      const result = await jmap().call<SetResult<VacationResponse>>("VacationResponse/set", {
        accountId, update: { singleton: values },
      });
      const refused = result.notUpdated?.singleton;
      if (refused) throw new Error(refused.description ?? refused.type);
      say(t(on ? "vacation_on" : "vacation_off"));
    } catch (error) {
      sayError("error_save", error);
    }
  };
  const backwards = !!from && !!to && to < from;
  return (
    <form class="card" onSubmit={save}>
      <Check label={t("vacation_use")} hint={t("vacation_hint")} checked={on} change={setOn} />
      <div class="side-by-side">
        <Field label={t("vacation_from")}>
          {(id) => <input id={id} type="date" value={from} onInput={(event) => setFrom(event.currentTarget.value)} />}
        </Field>
        <Field label={t("vacation_to")} error={backwards ? t("vacation_backwards") : undefined}>
          {(id) => <input id={id} type="date" value={to} min={from} onInput={(event) => setTo(event.currentTarget.value)} />}
        </Field>
      </div>
      <Field label={t("subject")} hint={t("vacation_subject_hint")}>
        {(id) => <input id={id} value={subject} onInput={(event) => setSubject(event.currentTarget.value)} />}
      </Field>
      <Field label={t("message")}>
        {(id) => (
          <textarea id={id} rows={8} value={text} required={on} onInput={(event) => setText(event.currentTarget.value)} />
        )}
      </Field>
      <footer>
        <span class="gap" />
        <button type="submit" class="button primary" disabled={backwards}>{t("save")}</button>
      </footer>
    </form>
  );
}
