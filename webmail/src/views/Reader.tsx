import { useSignalEffect } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { longDate, mediumDate, shortDate, size, t } from "../i18n";
import { RULES, SUBMISSION } from "../jmap/client";
import type { Address, BodyPart, Email, EmailSubmission, GetResult } from "../jmap/types";
import { nameOf, sameAddress, written } from "../lib/address";
import { download, previewKind } from "../lib/dom";
import { lazy } from "../lib/lazy";
import { go, jmap, mailAccount, open, phone, prefer, preferences, route, say, sayError } from "../state/app";
import { archive, junk, markSeen, remove, toggleFlag } from "../state/actions";
import { compose, composeTo, editDraft, forward, listAddress, reply } from "../state/answering";
import { identities } from "../state/compose";
import { list, shownMailbox, type Row } from "../state/list";
import { byId, loadEmails, loadThread, nameOfMailbox, summaries, threads, tick } from "../state/mail";
import { submissionsChanged } from "../state/push";
import { blobText, blobUrl } from "../state/remote";
import { cancelSubmission } from "../state/sending";
import { Avatar, Dialog, Icon, IconButton, MenuButton, Spinner } from "./common";
import { moveSelected } from "./List";
import { Paper, hovered, type Found } from "./Paper";

const Why = lazy(() => import("./Why"));
const RuleEditor = lazy(() => import("./SettingsRulesEditor"));

const MOST_OPEN = 20; // of a conversation with more that is unread, the newest
const MOST_FOLDED = 6; // shown beside each other; of more, all but the first and the last stand behind a button

/** What of a long conversation is not shown until it is asked for: the longest row of messages that are folded. */
function between(all: Email[], open: ReadonlySet<string>): Set<string> {
  let longest: Email[] = [];
  let run: Email[] = [];
  for (const email of all) {
    run = open.has(email.id) ? [] : [...run, email];
    if (run.length > longest.length) longest = run;
  }
  return new Set(longest.length > MOST_FOLDED ? longest.slice(1, -1).map((email) => email.id) : []);
}

export function openedRow(): Row | null {
  const shown = list.value;
  const opened = route.value.open;
  if (!shown || !opened) return null;
  void tick.value;
  const position = shown.positionOf(opened);
  if (position >= 0) return shown.at(position);
  const email = summaries.get(opened) ?? summaries.get(threads.get(opened)?.at(-1) ?? "");
  return email ? shown.row(email) : null;
}

export default function Reader() {
  const opened = route.value.open;
  const collapsed = preferences.value.conversations;
  const [emails, setEmails] = useState<Email[] | null>(null);
  const [shownFor, setShownFor] = useState("");
  const [failed, setFailed] = useState("");
  const [unfolded, setUnfolded] = useState<ReadonlySet<string>>(new Set());
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const known = useRef<string[]>([]);
  const body = useRef<HTMLDivElement>(null);

  const load = async (id: string, first: boolean) => {
    try {
      const found = collapsed ? await loadThread(id) : await loadEmails([id]);
      if (route.value.open !== id) return;
      const place = shownMailbox.value?.role;
      const visible = found.filter((email) => {
        if (!collapsed) return true;
        const roles = Object.keys(email.mailboxIds).map((one) => byId.value.get(one)?.role ?? "");
        return place === "trash" || place === "junk" || !roles.length || roles.some((role) => role !== "trash" && role !== "junk");
      });
      const all = visible.length ? visible : found;
      setFailed("");
      setEmails(all);
      setShownFor(id);
      if (first) {
        const unread = all.filter((email) => !email.keywords.$seen);
        const last = all.filter((email) => !email.keywords.$draft).at(-1) ?? all.at(-1);
        const open = new Set([...unread.slice(-MOST_OPEN), ...(last ? [last] : [])].map((email) => email.id));
        setUnfolded(open);
        setHidden(between(all, open));
        body.current?.scrollTo(0, 0);
        if (unread.length) {
          void markSeen([{ id: all[0]!.id, email: all[0]!, emails: unread }], true, true).catch(() => undefined);
        }
      } else {
        const fresh = all.filter((email) => !known.current.includes(email.id)).map((email) => email.id);
        if (fresh.length) setUnfolded((before) => new Set([...before, ...fresh]));
      }
      known.current = all.map((email) => email.id);
    } catch (error) {
      if (route.value.open === id) setFailed(error instanceof Error && error.message ? error.message : t("offline_message"));
    }
  };
  useEffect(() => {
    known.current = [];
    if (!opened) {
      setEmails(null);
      return;
    }
    void load(opened, true);
  }, [opened, collapsed]);
  // Something has changed: a message may have come into this conversation or gone out of it.
  useSignalEffect(() => {
    void tick.value;
    const id = route.value.open;
    if (id && collapsed && known.current.length && !threads.has(id)) void load(id, false);
  });

  void tick.value;
  const row = openedRow();
  const all = shownFor === opened ? emails : null;
  const subject = (all?.[0]?.subject ?? row?.email.subject)?.trim() || t("no_subject");
  return (
    <section class="reader" aria-label={t("message")}>
      <Toolbar row={row} />
      <div class="reader-scroll" ref={body}>
        <div class="reader-head">
          <h1 dir="auto">{subject}</h1>
          {row && <Places row={row} />}
        </div>
        {failed && !all && <p class="banner">{failed}</p>}
        {!all && !failed && <div class="reader-wait"><Spinner /></div>}
        {all?.map((email, n) => hidden.has(email.id) ? (
          !hidden.has(all[n - 1]?.id ?? "") && (
            <button type="button" class="message-between" key={email.id} onClick={() => setHidden(new Set())}>
              {t("n_between", { n: hidden.size })}
            </button>
          )
        ) : (
          <Message
            key={email.id} email={email} folded={!unfolded.has(email.id)} only={all.length === 1} last={n === all.length - 1}
            toggle={() => {
              const next = new Set(unfolded);
              if (!next.delete(email.id)) next.add(email.id);
              setUnfolded(next);
            }}
          />
        ))}
      </div>
      <div class={`link-preview ${hovered.value ? "shown" : ""}`} aria-hidden="true">{hovered.value}</div>
    </section>
  );
}

function Places({ row }: { row: Row }) {
  const here = shownMailbox.value?.id;
  const ids = new Set(row.emails.flatMap((email) => Object.keys(email.mailboxIds)));
  const names = [...ids].filter((id) => id !== here).map((id) => byId.value.get(id)).filter((one) => !!one);
  return (
    <>
      {names.map((mailbox) => <span class="place" key={mailbox.id}>{nameOfMailbox(mailbox)}</span>)}
    </>
  );
}

function Toolbar({ row }: { row: Row | null }) {
  const shown = list.value;
  const role = shownMailbox.value?.role;
  const rows = row ? [row] : [];
  const position = shown ? shown.positionOf(route.value.open) : -1;
  const to = (step: number) => {
    const next = shown?.at(position + step);
    if (shown && next) open(shown.opens(next), true);
  };
  const flagged = !!row?.emails.some((email) => email.keywords.$flagged);
  return (
    <div class="toolbar" role="toolbar" aria-label={t("message_actions")}>
      {phone.value && <IconButton icon="back" label={t("back")} keys="u" onClick={() => open("")} />}
      {role !== "archive" && <IconButton icon="archive" label={t("archive")} keys="e" onClick={() => archive(rows)} />}
      <IconButton icon="trash" label={t("delete")} keys="#" onClick={() => void remove(rows)} />
      <IconButton icon="junk" label={t(role === "junk" ? "not_junk" : "junk")} keys="!" onClick={() => junk(rows)} />
      <IconButton icon="move" label={t("move")} keys="v" onClick={() => void moveSelected(rows)} />
      <IconButton icon="star" label={t("flag")} keys="s" pressed={flagged} onClick={() => void toggleFlag(rows)} />
      <span class="gap" />
      {!phone.value && (
        <>
          <IconButton icon="chevron" class="turn-up" label={t("previous")} keys="k" disabled={position <= 0} onClick={() => to(-1)} />
          <IconButton
            icon="chevron" class="turn-down" label={t("next")} keys="j"
            disabled={position < 0 || position + 1 >= (shown?.total.value ?? 0)} onClick={() => to(1)}
          />
        </>
      )}
      <MenuButton icon="more" label={t("more")} items={[
        { label: t("mark_unread"), icon: "unread", run: () => {
          void markSeen(rows, false).then(() => open(""));
        } },
        { label: t("print"), icon: "print", run: () => window.print() },
      ]} />
    </div>
  );
}

function Message(props: { email: Email; folded: boolean; only: boolean; last: boolean; toggle: () => void }) {
  const { email, folded } = props;
  void tick.value;
  const sender = email.from?.[0] ?? email.sender?.[0];
  const address = sender?.email.toLowerCase() ?? "";
  const [images, setImages] = useState(false);
  const [found, setFound] = useState<Found | null>(null);
  const [details, setDetails] = useState(false);
  const [why, setWhy] = useState(false);
  const [rule, setRule] = useState(false);
  const [source, setSource] = useState<"" | "source" | "headers">("");
  const trusted = preferences.value.imagesFrom.includes(address);
  const draft = email.keywords.$draft;
  if (folded && !props.only) {
    return (
      <article class="message folded">
        <button type="button" class="message-fold" aria-expanded="false" onClick={props.toggle}>
          <Avatar address={sender} small />
          <span class="message-fold-from">{sender ? nameOf(sender) : t("unknown_sender")}</span>
          {draft && <span class="row-draft">{t("draft")}</span>}
          <span class="message-fold-preview" dir="auto">{email.preview}</span>
          {email.hasAttachment && <Icon name="attach" />}
          <time dateTime={email.receivedAt}>{shortDate(email.receivedAt)}</time>
        </button>
      </article>
    );
  }
  const toList = listAddress(email);
  const unsubscribe = (email["header:List-Unsubscribe:asURLs"] as string[] | null) ?? [];
  return (
    <article class="message" aria-label={t("message_from", { name: sender ? nameOf(sender) : t("unknown_sender") })}>
      <header class="message-head">
        <Avatar address={sender} />
        <div class="message-who">
          <div class="message-line">
            <button type="button" class="message-from" disabled={props.only} onClick={props.toggle} aria-expanded={props.only ? undefined : true}>
              {sender ? nameOf(sender) : t("unknown_sender")}
            </button>
            {sender?.name && <span class="muted message-address">{sender.email}</span>}
          </div>
          <div class="message-to">
            <span>{recipients(email)}</span>
            <button type="button" class="link" aria-expanded={details} onClick={() => setDetails(!details)}>{t("details")}</button>
          </div>
        </div>
        <time dateTime={email.receivedAt} title={longDate(email.sentAt ?? email.receivedAt)}>{mediumDate(email.receivedAt)}</time>
        <div class="message-buttons">
          {!draft && <IconButton icon="reply" label={t("reply")} keys="r" onClick={() => void reply(email, false)} />}
          <MenuButton icon="more" label={t("more")} items={[
            ...(draft ? [] : [
              { label: t("reply"), icon: "reply" as const, run: () => void reply(email, false) },
              { label: t("reply_all"), icon: "replyAll" as const, run: () => void reply(email, true) },
              ...(toList ? [{ label: t("reply_list"), icon: "reply" as const, run: () => void reply(email, false, toList) }] : []),
              { label: t("forward"), icon: "forward" as const, run: () => void forward(email) },
              null,
            ]),
            ...(unsubscribe.length ? [{ label: t("unsubscribe"), icon: "close" as const, run: () => leaveList(unsubscribe) }] : []),
            ...(trusted ? [{ label: t("images_never"), icon: "image" as const, run: () => prefer({ imagesFrom: preferences.value.imagesFrom.filter((one) => one !== address) }) }] : []),
            ...(!draft && ruled(email) ? [{ label: t("rule_from_message"), icon: "rules" as const, run: () => setRule(true) }] : []),
            { label: t("why"), icon: "help", run: () => setWhy(true) },
            { label: t("show_headers"), icon: "align", run: () => setSource("headers") },
            { label: t("show_source"), icon: "code", run: () => setSource("source") },
            { label: t("download_message"), icon: "download", run: () => void save(email.blobId, `${fileName(email.subject ?? "message")}.eml`, "message/rfc822") },
          ]} />
        </div>
      </header>
      {details && <Details email={email} />}
      {draft && (
        <p class="banner">
          <span>{t("is_draft")}</span>
          <button type="button" class="button" onClick={() => void editDraft(email.id)}>{t("draft_edit")}</button>
        </p>
      )}
      <Sending email={email} />
      {!!found?.remote && !images && !trusted && (
        <div class="banner">
          <Icon name="image" />
          <span>{t("images_blocked", { n: found.remote })}</span>
          <span class="gap" />
          <button type="button" class="button" onClick={() => setImages(true)}>{t("images_show")}</button>
          {address && (
            <button type="button" class="button quiet" onClick={() => {
              prefer({ imagesFrom: [...preferences.value.imagesFrom, address] });
            }}>{t("images_always")}</button>
          )}
        </div>
      )}
      <div class={found?.html ? "sheet html" : "sheet"}>
        <Paper email={email} images={images || trusted} found={setFound} />
      </div>
      {found?.truncated && <p class="banner">{t("cut")}</p>}
      <Attachments email={email} />
      {props.last && !draft && (
        <footer class="message-foot">
          <button type="button" class="button" onClick={() => void reply(email, false)}><Icon name="reply" /> {t("reply")}</button>
          {others(email) && (
            <button type="button" class="button" onClick={() => void reply(email, true)}><Icon name="replyAll" /> {t("reply_all")}</button>
          )}
          <button type="button" class="button" onClick={() => void forward(email)}><Icon name="forward" /> {t("forward")}</button>
        </footer>
      )}
      {rule && <RuleEditor rule={null} email={email} close={() => setRule(false)} />}
      {why && <Why email={email} close={() => setWhy(false)} />}
      {source && <Source email={email} headers={source === "headers"} close={() => setSource("")} />}
    </article>
  );
}

/** Whether rules could be made here about messages like this. */
function ruled(email: Email): boolean {
  return jmap().accountFor(RULES) === mailAccount.value && jmap().has(RULES) && !!email.from?.length;
}

/** Whether it went to somebody else too: who is not oneself and not its sender. */
function others(email: Email): boolean {
  const known = [...identities.value.map((one) => one.email), ...(email.from ?? []).map((one) => one.email)];
  return [...(email.to ?? []), ...(email.cc ?? [])].some((one) => !known.some((other) => sameAddress(other, one.email)));
}

function recipients(email: Email): string {
  const all = [...(email.to ?? []), ...(email.cc ?? []), ...(email.bcc ?? [])];
  const names = all.map((one) => (identities.value.some((own) => sameAddress(own.email, one.email)) ? t("me") : nameOf(one)));
  const shown = names.slice(0, 3).join(", ");
  return names.length ? t("to_names", { names: names.length > 3 ? t("and_more", { names: shown, n: names.length - 3 }) : shown }) : "";
}

function Details({ email }: { email: Email }) {
  const lines: [string, Address[] | null][] = [
    [t("from"), email.from], [t("reply_to"), email.replyTo], [t("to"), email.to], [t("cc"), email.cc], [t("bcc"), email.bcc],
  ];
  return (
    <dl class="details">
      {lines.filter(([, list]) => list?.length).map(([name, list]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>
            {list!.map((address, n) => (
              <button type="button" key={n} class="link" title={t("write_to", { name: address.email })} onClick={() => void compose({ to: [address] })}>
                {written(address)}{n + 1 < list!.length ? "," : ""}
              </button>
            ))}
          </dd>
        </div>
      ))}
      <div><dt>{t("date")}</dt><dd>{longDate(email.sentAt ?? email.receivedAt)}</dd></div>
      <div><dt>{t("received")}</dt><dd>{longDate(email.receivedAt)}</dd></div>
      <div><dt>{t("size")}</dt><dd>{size(email.size)}</dd></div>
    </dl>
  );
}

function leaveList(urls: string[]): void {
  const web = urls.find((url) => /^https:/i.test(url));
  const mail = urls.find((url) => /^mailto:/i.test(url));
  if (mail && !web) composeTo(mail);
  else if (web) window.open(web, "_blank", "noopener,noreferrer");
}

// Sending ------------------------------------------------------------------------------------------

/** What has become of a message that was sent from here. */
function Sending({ email }: { email: Email }) {
  const [found, setFound] = useState<EmailSubmission[]>([]);
  const own = Object.keys(email.mailboxIds).some((id) => ["sent", "scheduled"].includes(byId.value.get(id)?.role ?? ""));
  useSignalEffect(() => {
    void submissionsChanged.value;
    if (!own || !jmap().has(SUBMISSION)) return;
    const accountId = jmap().accountFor(SUBMISSION);
    jmap().request([
      ["EmailSubmission/query", { accountId, filter: { emailIds: [email.id] } }, "q"],
      ["EmailSubmission/get", { accountId, "#ids": { resultOf: "q", name: "EmailSubmission/query", path: "/ids" } }, "g"],
    ]).then((answers) => setFound(answers.maybe<GetResult<EmailSubmission>>("g")?.list ?? []), () => undefined);
  });
  const latest = found.filter((one) => one.undoStatus !== "canceled").sort((a, b) => a.sendAt.localeCompare(b.sendAt)).at(-1);
  if (!latest) return null;
  if (latest.undoStatus === "pending") {
    return (
      <p class="banner">
        <Icon name="alarm" />
        <span>{t("will_be_sent", { time: mediumDate(latest.sendAt) })}</span>
        <span class="gap" />
        <button type="button" class="button" onClick={() => void cancelSubmission(latest.id, email.id, true)}>{t("sending_cancel")}</button>
      </p>
    );
  }
  const states = Object.entries(latest.deliveryStatus ?? {});
  if (!states.length) return null;
  return (
    <details class="delivery">
      <summary>
        <Icon name="send" /> {summaryOf(states.map(([, state]) => state.delivered))}
      </summary>
      <ul>
        {states.map(([address, state]) => (
          <li key={address} class={`delivered-${state.delivered}`}>
            <strong>{address}</strong> {t(`delivered_${state.delivered}`)}
            {state.smtpReply && <span class="muted"> {inWords(state.smtpReply)}</span>}
          </li>
        ))}
      </ul>
    </details>
  );
}

/** The forecast of our own server at the end of a reply, as a time of the reader's. */
function inWords(reply: string): string {
  return reply.replace(/; next try (\d[\dT:.-]+Z)$/, (_, at: string) => `. ${t("why_next", { time: mediumDate(at) })}`);
}

function summaryOf(states: string[]): string {
  if (states.every((state) => state === "yes")) return t("delivery_all");
  if (states.some((state) => state === "no")) return t("delivery_failed", { n: states.filter((state) => state === "no").length });
  if (states.some((state) => state === "queued")) return t("delivery_waiting", { n: states.filter((state) => state === "queued").length });
  return t("delivery_handed");
}

// Attachments --------------------------------------------------------------------------------------

function fileName(text: string): string {
  return text.replace(/[\\/:*?"<>|\u0000-\u001f]/g, "_").slice(0, 120) || "message";
}

async function save(blobId: string, name: string, type: string): Promise<void> {
  try {
    const answer = await jmap().download(mailAccount.value, blobId, name, type);
    download(new Blob([await answer.arrayBuffer()], { type: "application/octet-stream" }), name);
  } catch (error) {
    sayError("error_download", error);
  }
}

function Attachments({ email }: { email: Email }) {
  const [preview, setPreview] = useState<BodyPart | null>(null);
  const html = email.htmlBody.map((part) => (part.partId ? email.bodyValues[part.partId]?.value : "") ?? "").join("");
  const shown = email.attachments.filter((part) => !(part.cid && part.type.startsWith("image/") && html.includes(part.cid)));
  if (!shown.length) return null;
  const total = shown.reduce((sum, part) => sum + part.size, 0);
  return (
    <section class="attachments" aria-label={t("attachments")}>
      <h2>
        {t("n_attachments", { n: shown.length })} <span class="muted">{size(total)}</span>
        {shown.length > 1 && (
          <button type="button" class="link" onClick={async () => {
            for (const part of shown) if (part.blobId) await save(part.blobId, nameOfPart(part), part.type);
            say(t("downloaded", { n: shown.length }));
          }}>{t("download_all")}</button>
        )}
      </h2>
      <ul>
        {shown.map((part, n) => {
          const kind = previewKind(part.type);
          const name = nameOfPart(part);
          return (
            <li key={n} class="attachment">
              <button
                type="button" class="attachment-open" title={name}
                onClick={() => (kind ? setPreview(part) : part.blobId && void save(part.blobId, name, part.type))}
              >
                <Thumbnail part={part} />
                <span class="attachment-name">{name}</span>
                <span class="muted">{size(part.size)}</span>
              </button>
              <IconButton icon="download" label={t("download_name", { name })} onClick={() => part.blobId && void save(part.blobId, name, part.type)} />
            </li>
          );
        })}
      </ul>
      {preview && <Preview part={preview} all={shown} move={setPreview} close={() => setPreview(null)} />}
    </section>
  );
}

function nameOfPart(part: BodyPart): string {
  const kind = part.type === "message/rfc822" ? `${t("message")}.eml` : part.type === "text/calendar" ? `${t("invitation")}.ics` : "";
  return fileName(part.name ?? (kind || t("unnamed")));
}

function Thumbnail({ part }: { part: BodyPart }) {
  const [url, setUrl] = useState("");
  const image = previewKind(part.type) === "image" && part.size < 3_000_000;
  useEffect(() => {
    if (image && part.blobId) void blobUrl(part.blobId, "image", part.type).then(setUrl, () => undefined);
  }, [part.blobId]);
  if (url) return <img class="thumbnail" src={url} alt="" />;
  const name = nameOfPart(part);
  const extension = name.split(".").at(-1) ?? "";
  const text = name.includes(".") && extension.length <= 4 ? extension : (part.type.split("/")[1] ?? "").slice(0, 4);
  return <span class={`thumbnail kind-${previewKind(part.type) ?? "other"}`} aria-hidden="true">{text.toUpperCase()}</span>;
}

function Preview(props: { part: BodyPart; all: BodyPart[]; move: (part: BodyPart) => void; close: () => void }) {
  const { part } = props;
  const kind = previewKind(part.type);
  const [url, setUrl] = useState("");
  const [text, setText] = useState<string | null>(null);
  const [failed, setFailed] = useState(false);
  useEffect(() => {
    setUrl("");
    setText(null);
    setFailed(false);
    if (!part.blobId) return;
    if (kind === "text") blobText(part.blobId).then(setText, () => setFailed(true));
    else blobUrl(part.blobId, part.name ?? "", part.type).then(setUrl, () => setFailed(true));
  }, [part.blobId]);
  const others = props.all.filter((one) => previewKind(one.type));
  const at = others.indexOf(part);
  return (
    <Dialog title={nameOfPart(part)} close={props.close} wide class="preview">
      <div
        class="preview-box"
        onKeyDown={(event) => {
          const next = others[at + (event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0)];
          if (next && next !== part) props.move(next);
        }}
      >
        {failed && <p>{t("error_download")}</p>}
        {!failed && !url && text === null && <Spinner />}
        {url && kind === "image" && <img src={url} alt={part.name ?? ""} />}
        {url && kind === "pdf" && <iframe src={url} title={nameOfPart(part)} />}
        {url && kind === "audio" && <audio src={url} controls />}
        {url && kind === "video" && <video src={url} controls />}
        {text !== null && <pre tabIndex={0}>{text}</pre>}
      </div>
      <footer>
        {others.length > 1 && (
          <>
            <IconButton icon="chevron" class="turn-left" label={t("previous")} disabled={at <= 0} onClick={() => props.move(others[at - 1]!)} />
            <IconButton icon="chevron" label={t("next")} disabled={at + 1 >= others.length} onClick={() => props.move(others[at + 1]!)} />
          </>
        )}
        <span class="gap" />
        <span class="muted">{size(part.size)}</span>
        <button type="button" class="button primary" onClick={() => part.blobId && void save(part.blobId, nameOfPart(part), part.type)}>
          <Icon name="download" /> {t("download")}
        </button>
      </footer>
    </Dialog>
  );
}

function Source(props: { email: Email; headers: boolean; close: () => void }) {
  const [text, setText] = useState<string | null>(null);
  useEffect(() => {
    void blobText(props.email.blobId, 1_000_000).then(
      (found) => setText(props.headers ? found.split(/\r?\n\r?\n/)[0] ?? "" : found),
      () => setText(t("error_download")),
    );
  }, []);
  return (
    <Dialog title={t(props.headers ? "show_headers" : "show_source")} close={props.close} wide>
      {text === null ? <Spinner /> : <pre class="source" tabIndex={0}>{text}</pre>}
      <footer>
        <button type="button" class="button" disabled={text === null} onClick={() => {
          void navigator.clipboard.writeText(text ?? "").then(() => say(t("copied")));
        }}>{t("copy")}</button>
        <button type="button" class="button primary" onClick={() => void save(props.email.blobId, `${fileName(props.email.subject ?? "message")}.eml`, "message/rfc822")}>
          <Icon name="download" /> {t("download")}
        </button>
      </footer>
    </Dialog>
  );
}

export function leaveReader(): void {
  go({ mailbox: route.value.mailbox, search: route.value.search });
}
