import { useSignalEffect } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { number, shortDate, t } from "../i18n";
import type { EmailSummary } from "../jmap/types";
import { nameOf, shortName, unique } from "../lib/address";
import { drawer, go, hashOf, narrow, open, phone, preferences, route } from "../state/app";
import { archive, junk, markSeen, moveTo, remove, select, selectRange, toggleFlag } from "../state/actions";
import { cursor, list, refresh, rowsOf, scrollTo, selection, shownMailbox, unreadOnly, type MessageList, type Row } from "../state/list";
import { byId, nameOfMailbox, summaries, tick } from "../state/mail";
import { editDraft } from "../state/answering";
import { Avatar, Icon, IconButton, MenuButton } from "./common";
import { chooseMailbox } from "./MailboxPicker";
import { DRAGGED } from "./Sidebar";

const SETTLE_MS = 60; // pages that only fly past are not asked for
const TALLEST = 12_000_000; // px; browsers lose exactness or stop at about 17 million

export async function moveSelected(rows: Row[]): Promise<void> {
  const from = shownMailbox.value?.id;
  const target = await chooseMailbox({
    title: t("move_title"), fits: (one) => one.id !== from && one.myRights.mayAddItems,
  });
  if (target) await moveTo(rows, target).catch(() => undefined);
}

export function ListPane() {
  const shown = list.value;
  const mailbox = shownMailbox.value;
  const n = selection.value.size;
  const total = shown?.total.value ?? null;
  return (
    <section class="list-pane" aria-label={t("messages")}>
      <header class="list-head">
        {narrow.value && (
          <IconButton icon="menu" label={t("mailboxes")} onClick={() => (drawer.value = true)} />
        )}
        {n > 0 ? <SelectionBar n={n} /> : (
          <>
            <div class="list-title">
              <h1>{mailbox ? nameOfMailbox(mailbox) : t("search_results")}</h1>
              {total !== null && (
                <span class="muted">
                  {unreadOnly.value ? t("n_unread", { n: total })
                    : mailbox && mailbox.unreadEmails && !["sent", "drafts", "trash", "junk"].includes(mailbox.role ?? "")
                      ? t("n_unread", { n: mailbox.unreadEmails })
                      : t(preferences.value.conversations ? "n_conversations" : "n_messages", { n: total })}
                </span>
              )}
            </div>
            <button
              type="button" class={`chip ${unreadOnly.value ? "on" : ""}`} aria-pressed={unreadOnly.value}
              onClick={() => (unreadOnly.value = !unreadOnly.value)}
            >
              {t("only_unread")}
            </button>
            <IconButton icon="refresh" label={t("refresh")} onClick={() => void refresh()} />
          </>
        )}
      </header>
      {shown?.seenOnly.value && <p class="banner" role="status">{t("seen_only")}</p>}
      {shown && <Rows key={shown} shown={shown} />}
    </section>
  );
}

function SelectionBar({ n }: { n: number }) {
  const rows = () => rowsOf(selection.value);
  const role = shownMailbox.value?.role;
  const seen = rows().every((row) => row.emails.every((email) => email.keywords.$seen));
  return (
    <div class="selection-bar" role="toolbar" aria-label={t("selection")}>
      <IconButton icon="close" label={t("select_none")} onClick={() => (selection.value = new Set())} keys="Esc" />
      <h1>{t("n_selected", { n })}</h1>
      <span class="gap" />
      {role !== "archive" && <IconButton icon="archive" label={t("archive")} keys="e" onClick={() => archive(rows())} />}
      <IconButton icon="trash" label={t("delete")} keys="#" onClick={() => void remove(rows())} />
      <IconButton icon="junk" label={t(role === "junk" ? "not_junk" : "junk")} keys="!" onClick={() => junk(rows())} />
      <IconButton
        icon={seen ? "unread" : "mail"} label={t(seen ? "mark_unread" : "mark_read")} keys={seen ? "U" : "I"}
        onClick={() => void markSeen(rows(), !seen)}
      />
      <MenuButton icon="more" label={t("more")} items={[
        { label: t("move"), icon: "move", run: () => void moveSelected(rows()) },
        { label: t("flag"), icon: "star", run: () => void toggleFlag(rows()) },
        { label: t("select_all"), icon: "check", run: () => selectLoaded() },
      ]} />
    </div>
  );
}

export function selectLoaded(): void {
  const shown = list.value;
  if (shown) selection.value = new Set(shown.known().filter((id) => summaries.has(id)));
}

function rowHeight(): number {
  if (phone.value) return preferences.value.density === "compact" ? 76 : 84;
  return preferences.value.density === "compact" ? 58 : 78;
}

function Rows({ shown }: { shown: MessageList }) {
  const box = useRef<HTMLDivElement>(null);
  const [height, setHeight] = useState(innerHeight); // at most; measured as soon as it is there
  const [top, setTop] = useState(0); // of the window, in px of the whole list
  const settle = useRef(0);
  const anchor = useRef(0); // last selected, for a range
  const row = rowHeight();
  const total = shown.total.value;
  void shown.version.value;
  void tick.value;

  const whole = (total ?? 0) * row;
  const tall = Math.min(whole, TALLEST);
  const ratio = whole > tall && tall > height ? (whole - height) / (tall - height) : 1;
  const last = useRef({ scroll: 0, top: 0 });

  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    const watch = new ResizeObserver(() => setHeight(element.clientHeight));
    watch.observe(element);
    setHeight(element.clientHeight);
    return () => watch.disconnect();
  }, []);

  const first = Math.max(0, Math.floor(top / row));
  const count = Math.ceil(height / row) + 1;
  useEffect(() => {
    clearTimeout(settle.current);
    const ask = () => void shown.ensure(Math.max(0, first - 5), first + count + 5);
    shown.visible = [first, first + count];
    settle.current = window.setTimeout(ask, total === null ? 0 : SETTLE_MS);
    return () => clearTimeout(settle.current);
  }, [shown, first, count, total]);

  /** A small step moves by what was scrolled, a big one to its part of the whole. */
  const scrolled = () => {
    const element = box.current;
    if (!element) return;
    const scroll = element.scrollTop;
    let now = scroll;
    if (ratio !== 1) {
      const step = scroll - last.current.scroll;
      const end = element.scrollHeight - element.clientHeight;
      now = scroll <= 0 ? 0
        : scroll >= end ? whole - height
        : Math.abs(step) < height * 2 ? Math.min(Math.max(0, last.current.top + step), whole - height)
        : scroll * ratio;
    }
    last.current = { scroll, top: now };
    setTop(now);
  };

  const reveal = (position: number) => {
    const element = box.current;
    if (!element) return;
    const above = position * row;
    let next = last.current.top;
    if (above < next) next = above;
    else if (above + row > next + height) next = above + row - height;
    if (next !== last.current.top) {
      const scroll = ratio === 1 ? next : next / ratio;
      last.current = { scroll, top: next };
      element.scrollTop = scroll;
      last.current.scroll = element.scrollTop;
      setTop(next);
    }
  };
  const revealed = useRef(-1);
  useEffect(() => {
    if (revealed.current !== cursor.value && revealed.current >= 0) reveal(cursor.value);
    revealed.current = cursor.value;
  }, [cursor.value]);

  useSignalEffect(() => {
    const wanted = scrollTo.value;
    const element = box.current;
    if (!wanted || !element) return;
    scrollTo.value = null;
    element.scrollTop += wanted.position * row;
  });

  if (total === 0) return <Empty />;
  if (total === null && shown.failed.value) {
    return (
      <div class="empty">
        <Icon name={shown.failed.value === "offline" ? "mail" : "help"} />
        <p>{shown.failed.value === "offline" ? t("offline_list") : shown.failed.value}</p>
        <button type="button" class="button" onClick={() => void shown.ensure(0, 50)}>{t("try_again")}</button>
      </div>
    );
  }

  const items = [];
  for (let position = first; position < Math.min(first + count, total ?? 12); position += 1) {
    items.push(
      <RowView
        key={position} shown={shown} position={position} y={position * row - top + last.current.scroll} height={row}
        anchor={anchor}
      />,
    );
  }
  return (
    <div
      class={`rows ${preferences.value.density}`} ref={box} onScroll={scrolled} role="grid" tabIndex={0}
      aria-label={t("messages")} aria-rowcount={total ?? -1} aria-multiselectable="true" aria-busy={total === null}
      aria-activedescendant={shown.at(cursor.value) ? `row-${cursor.value}` : undefined}
    >
      <Spacer height={total === null ? 0 : tall} />
      {items}
    </div>
  );
}

/** Heights and places are set through the object model: the page's policy allows no style attributes. */
function Spacer({ height }: { height: number }) {
  return <div class="spacer" role="presentation" style={{ height: `${height}px` }} />;
}

function people(row: Row, sent: boolean): string {
  const drafts = row.emails.filter((email) => email.keywords.$draft).length;
  if (sent) {
    const to = unique(row.emails.flatMap((email) => email.to ?? []));
    const names = to.map(nameOf).join(", ");
    return names ? t("to_names", { names }) : t("no_recipient");
  }
  const from = unique(row.emails.filter((email) => !email.keywords.$draft).flatMap((email) => email.from ?? []));
  let text = from.length === 1 ? nameOf(from[0]!) : from.length > 3
    ? [from[0]!, ...from.slice(-2)].map(shortName).join(", ")
    : from.map(shortName).join(", ");
  if (!text) text = drafts ? nameOf((row.email.to ?? [])[0] ?? { name: t("no_recipient"), email: "" }) : t("unknown_sender");
  return text;
}

function RowView(props: {
  shown: MessageList; position: number; y: number; height: number; anchor: { current: number };
}) {
  const { shown, position } = props;
  const row = shown.at(position);
  const style = { transform: `translateY(${props.y}px)`, height: `${props.height}px` };
  if (!row) {
    return (
      <div class="row loading" style={style} role="row" aria-rowindex={position + 1}>
        <div role="gridcell" class="skeleton"><span /><span /></div>
      </div>
    );
  }
  const { email, emails } = row;
  const unread = emails.some((one) => !one.keywords.$seen && !one.keywords.$draft);
  const flagged = emails.some((one) => one.keywords.$flagged);
  const picked = selection.value.has(row.id);
  const opened = route.value.open === shown.opens(row);
  const at = cursor.value === position;
  const role = shownMailbox.value?.role;
  const sent = role === "sent" || role === "scheduled" || (role === "drafts" && true);
  const drafts = emails.filter((one) => one.keywords.$draft).length;
  const first = sent ? email.to?.[0] : (emails.find((one) => !one.keywords.$seen)?.from ?? email.from)?.[0];
  const subject = email.subject?.trim() || t("no_subject");
  const place = shownMailbox.value ? "" : otherPlace(email);

  const clicked = (event: MouseEvent) => {
    if (event.shiftKey) {
      selectRange(props.anchor.current, position);
    } else if (event.ctrlKey || event.metaKey) {
      select(row.id);
      props.anchor.current = position;
    } else {
      props.anchor.current = position;
      cursor.value = position;
      openRow(shown, row);
    }
  };
  return (
    <div
      class={`row ${unread ? "unread" : ""} ${picked ? "picked" : ""} ${opened ? "opened" : ""} ${at ? "at" : ""}`}
      style={style} role="row" id={`row-${position}`} aria-rowindex={position + 1} aria-selected={picked} draggable
      onClick={clicked}
      onDragStart={(event) => {
        const ids = picked ? [...selection.value] : [row.id];
        event.dataTransfer?.setData(DRAGGED, JSON.stringify(ids));
        event.dataTransfer?.setData("text/plain", subject);
        if (event.dataTransfer) event.dataTransfer.effectAllowed = "move";
        dragImage(event, ids.length);
      }}
    >
      <div role="gridcell" class="row-pick">
        <button
          type="button" role="checkbox" aria-checked={picked} tabIndex={-1} aria-label={t("select_message", { name: subject })}
          onClick={(event) => {
            event.stopPropagation();
            if (event.shiftKey) selectRange(props.anchor.current, position);
            else select(row.id);
            props.anchor.current = position;
          }}
        >
          <Avatar address={first} />
          <span class="pick-mark"><Icon name="check" /></span>
        </button>
      </div>
      <div role="gridcell" class="row-text">
        <div class="row-line">
          <span class="row-from">
            {people(row, sent)}
            {drafts > 0 && role !== "drafts" && <span class="row-draft">, {t("draft")}</span>}
          </span>
          {emails.length > 1 && <span class="row-count" title={t("n_messages", { n: emails.length })}>{number(emails.length)}</span>}
          <span class="gap" />
          {email.hasAttachment || emails.some((one) => one.hasAttachment) ? (
            <span class="row-mark" title={t("has_attachment")}><Icon name="attach" /><span class="sr-only">{t("has_attachment")}</span></span>
          ) : null}
          {email.keywords.$answered && (
            <span class="row-mark" title={t("answered")}><Icon name="reply" /><span class="sr-only">{t("answered")}</span></span>
          )}
          <time dateTime={email.receivedAt}>{shortDate(email.receivedAt)}</time>
        </div>
        <div class="row-subject" dir="auto">
          {unread && <span class="sr-only">{t("unread")}: </span>}
          {place && <span class="row-place">{place}</span>}
          {subject}
        </div>
        <div class="row-preview" dir="auto">{email.preview}</div>
      </div>
      <div role="gridcell" class="row-star">
        <IconButton
          icon="star" label={t("flag")} pressed={flagged} tabIndex={-1}
          onClick={(event) => {
            event.stopPropagation();
            void toggleFlag([row]);
          }}
        />
      </div>
      <div role="gridcell" class="row-actions">
        {role !== "archive" && (
          <IconButton icon="archive" label={t("archive")} tabIndex={-1} onClick={stop(() => archive([row]))} />
        )}
        <IconButton icon="trash" label={t("delete")} tabIndex={-1} onClick={stop(() => void remove([row]))} />
        <IconButton
          icon={unread ? "mail" : "unread"} label={t(unread ? "mark_read" : "mark_unread")} tabIndex={-1}
          onClick={stop(() => void markSeen([row], unread, true))}
        />
      </div>
    </div>
  );
}

function stop(run: () => void) {
  return (event: Event) => {
    event.stopPropagation();
    run();
  };
}

export function openRow(shown: MessageList, row: Row): void {
  if (row.email.keywords.$draft && row.emails.length === 1) {
    void editDraft(row.id);
    return;
  }
  open(shown.opens(row));
}

function otherPlace(email: EmailSummary): string {
  const found = Object.keys(email.mailboxIds).map((id) => byId.value.get(id)).find((one) => one && one.role !== "inbox");
  return found ? nameOfMailbox(found) : "";
}

function dragImage(event: DragEvent, n: number): void {
  const label = document.createElement("div");
  label.className = "drag-label";
  label.textContent = t("n_conversations", { n });
  document.body.append(label);
  event.dataTransfer?.setDragImage(label, -12, -8);
  setTimeout(() => label.remove());
}

function Empty() {
  const search = route.value.search;
  const role = shownMailbox.value?.role;
  return (
    <div class="empty" tabIndex={-1}>
      <Icon name={search ? "search" : role === "inbox" ? "inbox" : "folder"} />
      <p>
        {search ? t("empty_search") : unreadOnly.value ? t("empty_unread") : role === "inbox" ? t("empty_inbox") : t("empty_mailbox")}
      </p>
      {search && (
        <button type="button" class="button" onClick={() => go({ mailbox: "" })}>{t("search_leave")}</button>
      )}
      {search && <a class="sr-only" href={hashOf({ mailbox: "" })}>{t("search_leave")}</a>}
    </div>
  );
}
