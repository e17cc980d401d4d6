import { useEffect, useState } from "preact/hooks";
import { mediumDate, span, t } from "../i18n";
import type { Key } from "../i18n/en";
import { TRACE } from "../jmap/client";
import type { Email, GetResult, MessageTrace, Sending, TraceEvent, TraceRule } from "../jmap/types";
import { sameAddress } from "../lib/address";
import { checks, fields, hops, valuesOf, type Checks, type Field, type Hop } from "../lib/trace";
import { jmap, mailAccount } from "../state/app";
import { identities } from "../state/compose";
import { byId, nameOfMailbox } from "../state/mail";
import { blobText } from "../state/remote";
import { Dialog, Icon, Spinner } from "./common";

const HEADER = 300_000; // octets of a message in which its header is looked for

interface Known {
  header: Field[];
  trace: MessageTrace | null;
}

/** Why a message is here: from its header with any server, from the server's own trace where that is told. */
export default function Why({ email, close }: { email: Email; close: () => void }) {
  const [known, setKnown] = useState<Known | null>(null);
  const [failed, setFailed] = useState(false);
  useEffect(() => {
    let here = true;
    Promise.all([blobText(email.blobId, HEADER), traceOf(email)]).then(
      ([source, trace]) => here && setKnown({ header: fields(source), trace }),
      () => here && setFailed(true),
    );
    return () => {
      here = false;
    };
  }, [email.id]);
  return (
    <Dialog title={t("why")} close={close} wide class="why">
      {failed && <p role="alert">{t("error_download")}</p>}
      {!failed && !known && <Spinner />}
      {known && <Story email={email} {...known} />}
    </Dialog>
  );
}

async function traceOf(email: Email): Promise<MessageTrace | null> {
  const account = jmap().account(mailAccount.value);
  if (!account || !(TRACE in account.accountCapabilities)) return null;
  const answers = await jmap().request([["MessageTrace/get", { accountId: mailAccount.value, ids: [email.id] }, "t"]]);
  return answers.maybe<GetResult<MessageTrace>>("t")?.list[0] ?? null;
}

function Story({ email, header, trace }: { email: Email } & Known) {
  const way = hops(header);
  const found = checks(header);
  const ids = [trace?.arrival?.queueId, ...(trace?.sendings ?? []).map((one) => one.queueId)].filter(Boolean);
  return (
    <>
      <section>
        <ul class="why-said">{arrival(email, header, way, trace).map((line) => <li key={line}>{line}</li>)}</ul>
      </section>
      {trace?.sendings.map((sending) => <Sent key={sending.submissionId} sending={sending} />)}
      {way.length > 0 && (
        <section>
          <h3>{t("why_checks")}</h3>
          {found.length ? found.map((one, n) => <Checked key={n} found={one} />) : <p>{t("why_checks_none")}</p>}
        </section>
      )}
      {way.length > 0 && (
        <section>
          <h3>{t("why_way")}</h3>
          <ol class="why-way">{way.map((one, n) => <Step key={n} hop={one} before={way[n - 1]} />)}</ol>
        </section>
      )}
      {ids.length > 0 && <p class="muted why-id">{t("why_id")} <code>{ids.join(", ")}</code></p>}
    </>
  );
}

/** In sentences: for which address it came, from whom, how, and where it was put. */
function arrival(email: Email, header: Field[], way: Hop[], trace: MessageTrace | null): string[] {
  const came = trace?.arrival ?? null;
  const last = way.at(-1);
  const lines: string[] = [];
  if (!last && !came) return [t(trace?.sendings.length ? "why_you_sent" : "why_own"), ...places(email)];
  const addresses = addressesOf(header, last, came?.addresses ?? []);
  if (addresses.length) lines.push(t("why_to", { addresses: addresses.join(", ") }));
  const named = [...(email.to ?? []), ...(email.cc ?? []), ...(email.bcc ?? [])];
  const own = [...addresses, ...identities.value.map((one) => one.email)];
  if (own.length && !named.some((one) => own.some((mine) => sameAddress(mine, one.email)))) lines.push(t("why_hidden"));
  const list = valuesOf(header, "list-id").at(-1);
  if (list) lines.push(t("why_list", { name: list.replace(/\s*<[^>]*>\s*$/, "").replaceAll('"', "") || list.replace(/[<>]/g, "") }));
  const host = came?.hello ?? last?.from ?? "";
  const peer = came?.peer ?? last?.peer ?? "";
  const at = came?.acceptedAt ?? (last && !Number.isNaN(last.at) ? new Date(last.at).toISOString() : email.receivedAt);
  const who = host && peer && host !== peer ? `${host} (${peer})` : host || peer;
  lines.push(who
    ? t("why_taken", { server: last?.by || t("why_your_server"), time: mediumDate(at), host: who })
    : t("why_taken_here", { server: last?.by || t("why_your_server"), time: mediumDate(at) }));
  const cipher = came?.tls ?? last?.cipher ?? "";
  if (cipher) lines.push(t("why_tls_with", { tls: cipher.replace(/\s+/g, " ") }));
  else if (last?.tls === "yes") lines.push(t("why_tls"));
  else if (who && last?.tls === "no") lines.push(t("why_no_tls"));
  const back = came?.returnPath ?? valuesOf(header, "return-path")[0]?.replace(/[<>]/g, "");
  if (back === "") lines.push(t("why_no_reports"));
  else if (back && !email.from?.some((one) => sameAddress(one.email, back))) lines.push(t("why_reports", { address: back }));
  for (const one of came?.placed ?? []) {
    const mailbox = byId.value.get(one.mailboxId);
    if (mailbox) lines.push(t("why_placed", { name: nameOfMailbox(mailbox), time: mediumDate(one.at) }));
    lines.push(...(one.rules ?? []).flatMap(ruled));
  }
  if (came && !came.isKept) lines.push(t("why_forgotten"));
  return [...lines, ...places(email)];
}

/** What a rule of the reader's has made of it. */
function ruled(one: TraceRule): string[] {
  const rule = one.name;
  if (one.hasFailed) return [t("why_rule_failed")];
  const mailbox = one.mailboxId ? byId.value.get(one.mailboxId) : undefined;
  const words = one.keywords.filter((word) => word !== "$junk").map((word) => (word === "$seen" ? t("why_rule_read") : word === "$flagged" ? t("why_rule_starred") : word));
  const lines = [
    one.isMailboxGone ? t("why_rule_lost", { rule }) : "",
    one.mailboxId && !one.isMailboxGone ? t("why_rule_filed", { rule, name: mailbox ? nameOfMailbox(mailbox) : t("why_rule_gone") }) : "",
    words.length ? t("why_rule_marked", { rule, words: words.join(", ") }) : "",
    one.forwardedTo.length ? t("why_rule_copied", { rule, addresses: one.forwardedTo.join(", ") }) : "",
    one.notForwardedTo.length ? t("why_rule_withheld", { rule, addresses: one.notForwardedTo.join(", ") }) : "",
  ].filter(Boolean);
  return lines.length ? lines : [t("why_rule", { rule })];
}

function places(email: Email): string[] {
  const names = Object.keys(email.mailboxIds).map((id) => byId.value.get(id)).filter((one) => !!one).map(nameOfMailbox);
  return names.length ? [t("why_now", { names: names.join(", ") })] : [];
}

/** From the trace; else those that servers have written down, the last delivery first. */
function addressesOf(header: Field[], last: Hop | undefined, traced: string[]): string[] {
  if (traced.length) return traced;
  const said = ["x-original-to", "envelope-to", "delivered-to"].flatMap((name) => valuesOf(header, name).slice(0, 1));
  const found = [last?.recipient ?? "", ...said].map((one) => one.replace(/[<>]/g, "").trim()).filter((one) => one.includes("@"));
  return found.filter((one, n) => found.findIndex((other) => sameAddress(one, other)) === n);
}

// Checks -------------------------------------------------------------------------------------------

const METHODS = ["spf", "dkim", "dmarc", "arc"];
const RESULTS: Record<string, Key> = {
  pass: "why_pass", fail: "why_fail", hardfail: "why_fail", softfail: "why_softfail", none: "why_none",
  neutral: "why_neutral", policy: "why_fail", temperror: "why_error", permerror: "why_error",
};

function Checked({ found }: { found: Checks }) {
  return (
    <div class="why-checks">
      <p class="muted">{t(found.here ? "why_checks_here" : "why_checks_other", { server: found.server })}</p>
      <ul>
        {found.verdicts.map((one, n) => {
          const method = METHODS.includes(one.method) ? t(`why_${one.method}` as Key) : one.method.toUpperCase();
          const good = found.here && one.result === "pass"; // what anybody can write has no colour
          const bad = found.here && ["fail", "hardfail", "policy", "softfail"].includes(one.result);
          return (
            <li key={n} class={good ? "why-right" : bad ? "why-wrong" : ""}>
              <Icon name={good ? "check" : bad ? "close" : "help"} />
              <span>{method}{one.of && <> <bdi class="muted">{one.of}</bdi></>}</span>
              <strong>{one.result in RESULTS ? t(RESULTS[one.result]!) : one.result}</strong>
            </li>
          );
        })}
      </ul>
    </div>
  );
}

// The way ------------------------------------------------------------------------------------------

function Step({ hop, before }: { hop: Hop; before: Hop | undefined }) {
  const waited = before ? hop.at - before.at : NaN;
  const from = [hop.from, hop.peer && hop.peer !== hop.from ? `(${hop.peer})` : ""].filter(Boolean).join(" ");
  return (
    <li>
      <div class="why-hosts">
        {from && <><bdi class="muted">{from}</bdi><span aria-hidden="true"> → </span></>}
        <strong><bdi>{hop.by || t("why_unknown_server")}</bdi></strong>
      </div>
      <div class="why-hop">
        {!Number.isNaN(hop.at) && <time dateTime={new Date(hop.at).toISOString()}>{mediumDate(new Date(hop.at).toISOString())}</time>}
        {waited >= 0 && <span class={waited > 300_000 ? "late" : ""}>{t("why_after", { time: span(waited) })}</span>}
        {waited < 0 && <span>{t("why_clock")}</span>}
        {hop.tls !== "unknown" && (
          <span class={hop.tls === "no" ? "open" : ""}>
            {hop.tls === "yes" && <Icon name="lock" />}{t(hop.tls === "yes" ? "why_encrypted" : "why_open")}
          </span>
        )}
      </div>
    </li>
  );
}

// What was sent ------------------------------------------------------------------------------------

const EVENTS: Record<string, Key> = {
  delivered: "why_delivered", relayed: "why_relayed", deferred: "why_deferred", failed: "why_failed", expired: "why_expired",
  bounced: "why_failed", dropped: "why_failed", canceled: "why_canceled", held: "why_held", released: "why_released",
  reported: "why_reported",
};

function Sent({ sending }: { sending: Sending }) {
  return (
    <section>
      <h3>{t("why_sent")}</h3>
      <ul class="why-events">
        <li><time dateTime={sending.acceptedAt}>{mediumDate(sending.acceptedAt)}</time><span>{t("why_accepted")}</span></li>
        {sending.events.filter((one) => one.kind in EVENTS).map((one, n) => <Happened key={n} event={one} />)}
      </ul>
    </section>
  );
}

function Happened({ event }: { event: TraceEvent }) {
  return (
    <li>
      <time dateTime={event.at}>{mediumDate(event.at)}</time>
      <span>
        {event.address && <><strong>{event.address}</strong>: </>}
        {t(EVENTS[event.kind]!)}
        {event.nextTryAt && <> {t("why_next", { time: mediumDate(event.nextTryAt) })}</>}
        {event.reply && <span class="muted why-reply">{event.host && `${event.host}: `}{event.reply}</span>}
      </span>
    </li>
  );
}
