import { useSignalEffect } from "@preact/signals";
import { useState } from "preact/hooks";
import { number, t } from "../i18n";
import { MAIL, QUOTA, Refused } from "../jmap/client";
import type { Id, Mailbox, SetResult } from "../jmap/types";
import { ask, drawer, go, hashOf, jmap, mailAccount, narrow, otherAccount, route, say, sayError } from "../state/app";
import { emptyMailbox, moveTo } from "../state/actions";
import { refresh, rowsOf, shownMailbox } from "../state/list";
import { byId, mailboxes, nameOfMailbox, pathOf } from "../state/mail";
import { later, store, stored } from "../lib/dom";
import { lazy } from "../lib/lazy";
import { compose } from "../state/answering";
import { submissionsChanged } from "../state/push";
import { loadScheduled, scheduled } from "../state/scheduled";
import { lookAt } from "../state/session";
import { Drawer, Icon, IconButton, MenuButton, type IconName, type Item } from "./common";
import { goToMailbox } from "./MailboxPicker";
import { QuotaBar } from "./Quota";

const Scheduled = lazy(() => import("./Scheduled"));
const MANY = 15; // folders that one no longer looks through

export const DRAGGED = "application/x-postillon-emails";

const ROLE_ICONS: Record<string, IconName> = {
  inbox: "inbox", archive: "archive", drafts: "drafts", sent: "sent", junk: "junk", trash: "trash", scheduled: "alarm",
};

interface Branch {
  mailbox: Mailbox;
  children: Branch[];
}

function tree(list: Mailbox[]): Branch[] {
  const branches = new Map<Id, Branch>(list.map((mailbox) => [mailbox.id, { mailbox, children: [] }]));
  const roots: Branch[] = [];
  for (const branch of branches.values()) {
    const parent = branch.mailbox.parentId ? branches.get(branch.mailbox.parentId) : undefined;
    (parent ? parent.children : roots).push(branch);
  }
  return roots;
}

export function Sidebar() {
  const [waiting, setWaiting] = useState(false);
  useSignalEffect(() => {
    void submissionsChanged.value;
    return later(() => void loadScheduled());
  });
  const roots = tree(mailboxes.value);
  const special = roots.filter((branch) => branch.mailbox.role);
  const others = roots.filter((branch) => !branch.mailbox.role);
  return (
    <nav class="sidebar" aria-label={t("mailboxes")}>
      <button type="button" class="button primary compose-button" onClick={() => void compose({})} title={`${t("compose")} (c)`}>
        <Icon name="edit" /> {t("compose")}
      </button>
      <Accounts />
      <div class="sidebar-scroll">
        <ul class="mailboxes">{special.map((branch) => <Row key={branch.mailbox.id} branch={branch} depth={0} />)}</ul>
        {scheduled.value.length > 0 && (
          <div class="mailbox">
            <button type="button" class="mailbox-open" onClick={() => setWaiting(true)}>
              <Icon name="alarm" /> <span class="mailbox-name">{t("scheduled")}</span>
              <span class="count">{number(scheduled.value.length)}</span>
            </button>
          </div>
        )}
        {waiting && <Scheduled close={() => setWaiting(false)} />}
        <div class="sidebar-heading">
          <h2>{t("folders")}</h2>
          {others.length > MANY && <IconButton icon="search" label={t("key_folder")} keys="g f" onClick={() => void goToMailbox()} />}
          <IconButton icon="plus" label={t("folder_new")} onClick={() => void create(null)} />
        </div>
        {others.length > 0 ? (
          <ul class="mailboxes">{others.map((branch) => <Row key={branch.mailbox.id} branch={branch} depth={0} />)}</ul>
        ) : (
          <p class="hint sidebar-empty">{t("folders_none")}</p>
        )}
      </div>
      {jmap().has(QUOTA) && <QuotaBar small />}
    </nav>
  );
}

/** Where others share mail: whose is looked at. */
function Accounts() {
  const own = jmap().accountFor(MAIL);
  const others = Object.entries(jmap().session.accounts).filter(([id, account]) => id !== own && MAIL in account.accountCapabilities);
  if (!others.length) return null;
  return (
    <select
      class="accounts" aria-label={t("whose_mail")} value={otherAccount.value}
      onChange={(event) => void lookAt(event.currentTarget.value)}
    >
      <option value="">{jmap().session.username}</option>
      {others.map(([id, account]) => <option key={id} value={id}>{t("shared_by", { name: account.name })}</option>)}
    </select>
  );
}

function Row({ branch, depth }: { branch: Branch; depth: number }) {
  const { mailbox, children } = branch;
  const [folded, setFolded] = useState(() => stored<Id[]>("folded", []).includes(mailbox.id));
  const [over, setOver] = useState(false);
  const here = route.value.view === "mail" && shownMailbox.value?.id === mailbox.id;
  const draft = mailbox.role === "drafts" || mailbox.role === "scheduled";
  const count = draft ? mailbox.totalEmails : ["sent", "trash", "junk"].includes(mailbox.role ?? "") ? 0 : mailbox.unreadEmails;
  const name = nameOfMailbox(mailbox);
  const fold = () => {
    setFolded(!folded);
    const known = new Set(stored<Id[]>("folded", []));
    if (folded) known.delete(mailbox.id);
    else known.add(mailbox.id);
    store("folded", [...known]);
  };
  const drops = mailbox.myRights.mayAddItems;
  return (
    <li>
      <div
        class={`mailbox ${here ? "here" : ""} ${over ? "over" : ""} ${count && !draft ? "unread" : ""} depth-${Math.min(depth, 5)}`}
        onDragOver={(event) => {
          if (!drops || !event.dataTransfer?.types.includes(DRAGGED)) return;
          event.preventDefault();
          event.dataTransfer.dropEffect = "move";
          setOver(true);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={(event) => {
          setOver(false);
          const ids = event.dataTransfer?.getData(DRAGGED);
          if (!ids) return;
          event.preventDefault();
          const key = mailbox.role === "junk" ? "junked" : mailbox.role === "trash" ? "trashed" : "moved";
          void moveTo(rowsOf(JSON.parse(ids) as Id[]), mailbox, key).catch(() => undefined);
        }}
      >
        <a
          href={hashOf({ mailbox: mailbox.role === "inbox" ? "" : mailbox.id })} aria-current={here ? "page" : undefined}
          onClick={() => (drawer.value = false)}
        >
          <Icon name={ROLE_ICONS[mailbox.role ?? ""] ?? "folder"} />
          <span class="mailbox-name">{name}</span>
          {count > 0 && (
            <span class="count">
              {number(count)}
              <span class="sr-only">{draft ? "" : ` ${t("unread")}`}</span>
            </span>
          )}
        </a>
        {children.length > 0 && (
          <button
            type="button" class={`icon-button fold ${folded ? "" : "unfolded"}`} aria-expanded={!folded}
            aria-label={t(folded ? "unfold" : "fold", { name })} onClick={fold}
          >
            <Icon name="chevron" />
          </button>
        )}
        <MenuButton class="mailbox-menu" icon="more" label={t("folder_actions", { name })} items={actions(mailbox)} />
      </div>
      {children.length > 0 && !folded && (
        <ul>{children.map((child) => <Row key={child.mailbox.id} branch={child} depth={depth + 1} />)}</ul>
      )}
    </li>
  );
}

function actions(mailbox: Mailbox): (Item | null)[] {
  const rights = mailbox.myRights;
  const items: (Item | null)[] = [
    { label: t("mark_all_read"), icon: "mail", run: () => void markAllRead(mailbox) },
  ];
  if (mailbox.role === "trash" || mailbox.role === "junk") {
    items.push({ label: t("empty_folder"), icon: "trash", danger: true, run: () => void emptyMailbox(mailbox) });
  }
  if (rights.mayCreateChild) items.push({ label: t("folder_new_in"), icon: "plus", run: () => void create(mailbox) });
  if (!mailbox.role && rights.mayRename) {
    items.push({ label: t("rename"), icon: "edit", run: () => void rename(mailbox) });
    items.push({ label: t("folder_move"), icon: "move", run: () => void moveFolder(mailbox) });
  }
  if (!mailbox.role && rights.mayDelete) {
    items.push(null, { label: t("folder_delete"), icon: "trash", danger: true, run: () => void remove(mailbox) });
  }
  return items;
}

async function set(args: Record<string, unknown>): Promise<boolean> {
  try {
    const result = await jmap().call<SetResult<Mailbox>>("Mailbox/set", { accountId: mailAccount.value, ...args });
    const refused = Object.values({ ...result.notCreated, ...result.notUpdated, ...result.notDestroyed })[0];
    if (refused) throw new Refused(400, refused.type, refused.description ?? refused.type);
    await refresh();
    return true;
  } catch (error) {
    sayError("error_folder", error);
    return false;
  }
}

async function create(parent: Mailbox | null): Promise<void> {
  const name = await ask({
    title: parent ? t("folder_new_under", { name: nameOfMailbox(parent) }) : t("folder_new"), text: "",
    yes: t("create"), input: { label: t("folder_name"), value: "" },
  });
  if (name?.trim()) await set({ create: { new: { name: name.trim(), parentId: parent?.id ?? null, isSubscribed: true } } });
}

async function rename(mailbox: Mailbox): Promise<void> {
  const name = await ask({
    title: t("rename"), text: "", yes: t("save"), input: { label: t("folder_name"), value: mailbox.name },
  });
  if (name?.trim() && name !== mailbox.name) await set({ update: { [mailbox.id]: { name: name.trim() } } });
}

async function moveFolder(mailbox: Mailbox): Promise<void> {
  const { chooseMailbox } = await import("./MailboxPicker");
  const inside = (one: Mailbox): boolean =>
    one.id === mailbox.id || (!!one.parentId && !!byId.value.get(one.parentId) && inside(byId.value.get(one.parentId)!));
  const target = await chooseMailbox({
    title: t("folder_move_title", { name: nameOfMailbox(mailbox) }), top: true,
    fits: (one) => !inside(one) && one.myRights.mayCreateChild,
  });
  if (target !== undefined) await set({ update: { [mailbox.id]: { parentId: target?.id ?? null } } });
}

async function remove(mailbox: Mailbox): Promise<void> {
  const yes = await ask({
    title: t("folder_delete_title", { name: pathOf(mailbox) }),
    text: mailbox.totalEmails ? t("folder_delete_full", { n: mailbox.totalEmails }) : t("folder_delete_empty"),
    yes: t("folder_delete"), danger: true,
  });
  if (yes === null) return;
  if (await set({ destroy: [mailbox.id], onDestroyRemoveEmails: true })) {
    say(t("folder_deleted", { name: nameOfMailbox(mailbox) }));
    if (route.value.mailbox === mailbox.id) go({ mailbox: "" });
  }
}

async function markAllRead(mailbox: Mailbox): Promise<void> {
  const { MessageList } = await import("../state/list");
  try {
    const filter = { operator: "AND" as const, conditions: [{ inMailbox: mailbox.id }, { notKeyword: "$seen" }] };
    let n = 0;
    for (;;) {
      const ids = await new MessageList(filter, mailbox.id, false).allIds(400);
      if (!ids.length) break;
      await jmap().call("Email/set", {
        accountId: mailAccount.value, update: Object.fromEntries(ids.map((id) => [id, { "keywords/$seen": true }])),
      });
      n += ids.length;
    }
    say(t("marked_read", { n }));
    await refresh();
  } catch (error) {
    sayError("error_change", error);
  }
}

export function SidebarDrawer() {
  if (!narrow.value || !drawer.value) return null;
  return <Drawer label={t("mailboxes")} title="Postillon" close={() => (drawer.value = false)}><Sidebar /></Drawer>;
}
