import { useEffect } from "preact/hooks";
import { t } from "../i18n";
import { later } from "../lib/dom";
import { CODE_MISSING, lazy } from "../lib/lazy";
import { client, drawer, go, hashOf, help, narrow, online, phone, reachable, route, say } from "../state/app";
import { waitingChanges } from "../state/changes";
import { compose, revive } from "../state/answering";
import { composer, loadIdentities, outbox, resumeAll } from "../state/compose";
import { onFocus, onKey } from "../state/keys";
import { inbox } from "../state/mail";
import { live, startPush } from "../state/push";
import { OwnCredentials } from "../state/auth";
import { credentials, leave } from "../state/session";
import { shownMailbox } from "../state/list";
import { nameOfMailbox } from "../state/mail";
import { startNotices } from "../state/notify";
import { Icon, IconButton, Mark, MenuButton, NoticeBar, QuestionDialog, Spinner } from "./common";
import { ListPane } from "./List";
import { MailboxPicker } from "./MailboxPicker";
import { SearchBar } from "./SearchBar";
import { Sidebar, SidebarDrawer } from "./Sidebar";
import { SignIn } from "./SignIn";

const ComposeWindow = lazy(() => import("./Compose"));
const Settings = lazy(() => import("./Settings"), () => <div class="reader-wait"><Spinner /></div>);
const Help = lazy(() => import("./Help"));
// With it comes the sanitiser. Whoever opens a message first thing waits for it; else it comes while nothing is done.
const Reader = lazy(() => import("./Reader"), () => (
  <section class="reader" aria-busy="true"><div class="reader-wait"><Spinner /></div></section>
));
if (route.value.open) void Reader.preload();

export function App() {
  const here = client.value;
  if (here === undefined) {
    return <main class="starting" aria-busy="true"><Mark size={56} /><Spinner /></main>;
  }
  return here === null ? <><SignIn /><NoticeBar /></> : <Mail />;
}

function Mail() {
  useEffect(() => {
    addEventListener("keydown", onKey);
    addEventListener("focusin", onFocus);
    let stop = () => {};
    const off = later(() => {
      stop = startPush();
      void loadIdentities().catch(() => undefined);
      void Reader.preload().catch(() => undefined);
      void startNotices();
      void revive();
    });
    const again = live.subscribe((is) => {
      if (is) void resumeAll(); // the server is there again
    });
    // A file that misses its place would otherwise take the place of the whole page.
    const missed = (event: DragEvent) => {
      if (event.dataTransfer?.types.includes("Files") && !event.defaultPrevented) {
        event.preventDefault();
        event.dataTransfer.dropEffect = "none";
      }
    };
    const missing = () => say(t(online.value ? "new_version" : "code_offline"), {
      error: true, ms: 60_000, action: { label: t("reload"), run: () => location.reload() },
    });
    addEventListener(CODE_MISSING, missing);
    addEventListener("dragover", missed);
    addEventListener("drop", missed);
    if (location.hash === "#/compose") void compose({});
    return () => {
      removeEventListener("keydown", onKey);
      removeEventListener("focusin", onFocus);
      removeEventListener(CODE_MISSING, missing);
      removeEventListener("dragover", missed);
      removeEventListener("drop", missed);
      again();
      off();
      stop();
    };
  }, []);
  const unread = inbox.value?.unreadEmails ?? 0;
  const mailbox = shownMailbox.value;
  const place = route.value.view === "settings" ? t("settings") : mailbox ? nameOfMailbox(mailbox) : t("search_results");
  useEffect(() => {
    document.title = `${unread ? `(${unread}) ` : ""}${place} – Postillon`;
    const badge = navigator as Navigator & { setAppBadge?: (n?: number) => Promise<void>; clearAppBadge?: () => Promise<void> };
    void (unread ? badge.setAppBadge?.(unread) : badge.clearAppBadge?.())?.catch(() => undefined);
  }, [unread, place]);

  // On a phone the message being written takes the whole screen: the way back leads out of it first.
  const writing = phone.value && !!composer.value;
  useEffect(() => {
    if (!writing) return;
    history.pushState({ writing }, "", location.href);
    const back = () => void composer.value?.close();
    addEventListener("popstate", back);
    return () => {
      removeEventListener("popstate", back);
      if ((history.state as { writing?: boolean } | null)?.writing) history.back();
    };
  }, [writing]);

  const settings = route.value.view === "settings";
  const reading = !!route.value.open;
  return (
    <div class={`app ${settings ? "in-settings" : reading ? "reading" : "listing"}`}>
      <a class="skip" href="#main" onClick={(event) => {
        event.preventDefault();
        document.querySelector<HTMLElement>(".rows, .settings-page")?.focus();
      }}>{t("skip")}</a>
      <header class="topbar">
        <a class="brand" href={hashOf({ mailbox: "" })} aria-label={`Postillon, ${t("to_inbox")}`}>
          <Mark size={28} />
          <span>Postillon</span>
        </a>
        {settings && narrow.value && (
          <IconButton icon="menu" label={t("mailboxes")} onClick={() => (drawer.value = true)} />
        )}
        <SearchBar />
        <span class="gap" />
        {outbox.value > 0 && <span class="offline-mark outbox-mark" role="status"><Icon name="send" /> {t("outbox", { n: outbox.value })}</span>}
        <OfflineMark />
        {!phone.value && <IconButton icon="help" label={t("keys_title")} keys="?" onClick={() => (help.value = true)} />}
        <MenuButton icon="person" label={t("account")} text={phone.value ? undefined : <span class="who">{here()}</span>} items={[
          { label: t("settings"), icon: "settings", run: () => go({ view: "settings", tab: "general" }) },
          { label: t("keys_title"), icon: "help", run: () => (help.value = true) },
          ...(credentials instanceof OwnCredentials && credentials.admin
            ? [{ label: t("administration"), icon: "key" as const, run: () => location.assign("/admin") }] : []),
          null,
          { label: t("sign_out"), icon: "signout", run: () => void leave() },
        ]} />
      </header>
      {!narrow.value && <Sidebar />}
      <main id="main">
        {settings ? <Settings /> : (
          <>
            <ListPane />
            {reading ? <Reader /> : !phone.value && <NothingOpen />}
          </>
        )}
      </main>
      {phone.value && !settings && !reading && (
        <button type="button" class="compose-float" aria-label={t("compose")} onClick={() => void compose({})}><Icon name="edit" /></button>
      )}
      <SidebarDrawer />
      {composer.value && <ComposeWindow />}
      {help.value && <Help />}
      <MailboxPicker />
      <QuestionDialog />
      <NoticeBar />
    </div>
  );
}

/** Without a network, and for as long as what was done without one is not told. */
function OfflineMark() {
  const away = !online.value || !reachable.value;
  const waiting = waitingChanges.value.filter((one) => away || one.login === client.value?.session.username).length;
  if (!away && !waiting) return null;
  const words = [away && t("offline"), waiting > 0 && t("changes_wait", { n: waiting })];
  return (
    <span class="offline-mark" role="status" title={away ? t("offline_hint") : undefined}>
      <Icon name={away ? "lock" : "send"} /> {words.filter(Boolean).join(" · ")}
    </span>
  );
}

function NothingOpen() {
  return (
    <section class="reader empty" aria-label={t("message")}>
      <Icon name="mail" />
      <p>{t("nothing_open")}</p>
      <p class="hint">{t("nothing_open_hint")}</p>
    </section>
  );
}

function here(): string {
  return client.value?.session.username ?? "";
}
