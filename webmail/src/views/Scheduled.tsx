import { useState } from "preact/hooks";
import { mediumDate, t } from "../i18n";
import { nameOf, unique } from "../lib/address";
import { loadScheduled, reschedule, scheduled, type Scheduled as Waiting } from "../state/scheduled";
import { cancelSubmission } from "../state/sending";
import { Dialog, Icon } from "./common";
import { Later } from "./Later";

/** What waits for its time: when, to whom, and how to change that. */
export default function Scheduled({ close }: { close: () => void }) {
  const [moving, setMoving] = useState<Waiting | null>(null);
  if (moving) return <Later choose={(date) => void reschedule(moving, date)} close={() => setMoving(null)} />;
  const edit = (one: Waiting) => {
    close();
    void cancelSubmission(one.id, one.email.id, true).then(loadScheduled);
  };
  return (
    <Dialog title={t("scheduled")} close={close} wide>
      {!scheduled.value.length && <p class="muted">{t("scheduled_none")}</p>}
      <ul class="scheduled">
        {scheduled.value.map((one) => (
          <li key={one.id}>
            <div>
              <strong dir="auto">{one.email.subject?.trim() || t("no_subject")}</strong>
              <p class="muted">{t("to_names", { names: names(one) })}</p>
              <p><Icon name="alarm" /> {mediumDate(one.at)}</p>
            </div>
            <button type="button" class="button quiet" onClick={() => setMoving(one)}>{t("schedule_change")}</button>
            <button type="button" class="button quiet" onClick={() => edit(one)}>{t("sending_cancel")}</button>
          </li>
        ))}
      </ul>
    </Dialog>
  );
}

function names({ email }: Waiting): string {
  return unique([...(email.to ?? []), ...(email.cc ?? []), ...(email.bcc ?? [])]).map(nameOf).join(", ");
}
