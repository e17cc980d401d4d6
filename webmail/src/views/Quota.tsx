import { useEffect } from "preact/hooks";
import { signal } from "@preact/signals";
import { size, t } from "../i18n";
import { QUOTA } from "../jmap/client";
import type { GetResult, Quota } from "../jmap/types";
import { later } from "../lib/dom";
import { jmap } from "../state/app";
import { mailboxes } from "../state/mail";

const quota = signal<Quota | null>(null);
let asked = 0;

export function QuotaBar({ small }: { small?: boolean }) {
  const changed = mailboxes.value.reduce((sum, mailbox) => sum + mailbox.totalEmails, 0);
  useEffect(() => {
    if (Date.now() - asked < 5_000 && quota.value) return;
    return later(() => {
      asked = Date.now();
      jmap()
        .call<GetResult<Quota>>("Quota/get", { accountId: jmap().accountFor(QUOTA), ids: null })
        .then((found) => (quota.value = found.list.find((one) => one.resourceType === "octets") ?? null))
        .catch(() => undefined);
    });
  }, [changed]);
  const found = quota.value;
  if (!found || !found.hardLimit) return small ? null : <p class="muted">{t("quota_none")}</p>;
  const part = Math.min(1, found.used / found.hardLimit);
  const text = t("quota_used", { used: size(found.used), limit: size(found.hardLimit) });
  return (
    <div class={`quota ${part > 0.9 ? "full" : ""} ${small ? "small" : ""}`}>
      <progress max={1} value={part} aria-label={t("quota")} />
      <span>{text}</span>
    </div>
  );
}
