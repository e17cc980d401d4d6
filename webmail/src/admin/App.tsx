import { useEffect } from "preact/hooks";
import { LANGUAGES, t, type Language } from "../i18n";
import { drawer, narrow, prefer, preferences, type Theme } from "../state/app";
import { Drawer, Icon, IconButton, Mark, MenuButton, NoticeBar, QuestionDialog, Spinner } from "../views/common";
import { credentials } from "./api";
import { AccountPage, Accounts } from "./Accounts";
import { Audit } from "./Audit";
import { DomainPage, Domains } from "./Domains";
import { HealthPage } from "./Health";
import { Aliases, Groups } from "./Lists";
import { Logins } from "./Logins";
import { Overview } from "./Overview";
import { type NavItem } from "./parts";
import { QueuePage, QueuedPage } from "./Queue";
import { Keys, ServerSettings } from "./Settings";
import { Setup, Welcome } from "./Setup";
import { SignIn } from "./SignIn";
import { hash, leave, path, refused, server, setup } from "./state";
import { a, loadTexts } from "./text";
import { Trace } from "./Trace";

function pages(): NavItem[] {
  return [
    { id: "overview", title: a("overview"), icon: "inbox" },
    { id: "health", title: a("health"), icon: "help" },
    { id: "domains", title: a("domains"), icon: "open" },
    { id: "accounts", title: a("accounts"), icon: "person" },
    { id: "aliases", title: a("aliases"), icon: "forward" },
    { id: "groups", title: a("groups"), icon: "mail" },
    { id: "queue", title: a("queue"), icon: "alarm" },
    { id: "trace", title: a("trace"), icon: "search" },
    { id: "logins", title: a("logins_limits"), icon: "lock" },
    { id: "audit", title: a("audit"), icon: "eye" },
    { id: "keys", title: a("api_keys"), icon: "key" },
    { id: "settings", title: a("settings"), icon: "settings" },
  ];
}

export function App() {
  const here = server.value;
  if (setup.value.open) return <><Setup /><NoticeBar /></>;
  if (here === undefined) {
    return <main class="starting" aria-busy="true"><Mark size={56} /><Spinner /></main>;
  }
  if (here === null) return <><SignIn refused={refused.value} /><NoticeBar /></>;
  return <Shell />;
}

function Page() {
  const [first = "overview", second] = path.value;
  switch (first) {
    case "welcome": return <Welcome />;
    case "health": return <HealthPage />;
    case "domains": return second ? <DomainPage name={second} key={second} /> : <Domains />;
    case "accounts": return second ? <AccountPage login={second} key={second} /> : <Accounts />;
    case "aliases": return <Aliases />;
    case "groups": return <Groups />;
    case "queue": return second ? <QueuedPage id={second} key={second} /> : <QueuePage />;
    case "trace": return <Trace about={second ?? ""} key={second ?? ""} />;
    case "logins": return <Logins about={second ?? ""} />;
    case "audit": return <Audit about={second ?? ""} key={second ?? ""} />;
    case "keys": return <Keys />;
    case "settings": return <ServerSettings about={second ?? ""} key={second ?? ""} />;
    default: return <Overview />;
  }
}

function Shell() {
  const [first = "overview"] = path.value;
  const items = pages();
  const title = items.find((item) => item.id === first)?.title ?? a("overview");
  useEffect(() => {
    document.title = `${title} – ${server.value?.hostname ?? ""} – Postillon`;
    drawer.value = false;
    document.querySelector<HTMLElement>(".admin-page")?.scrollTo(0, 0);
  }, [title, path.value.join("/")]);
  const nav = (
    <nav class="admin-nav" aria-label={a("administration")}>
      <ul>
        {items.map((item) => (
          <li key={item.id}>
            <a href={hash(item.id)} aria-current={item.id === first ? "page" : undefined}><Icon name={item.icon} /> {item.title}</a>
          </li>
        ))}
      </ul>
      <p class="hint">Postillon {server.value?.version}</p>
    </nav>
  );
  const language = (name: Language) => {
    void loadTexts(name).then(() => prefer({ language: name }));
  };
  return (
    <div class="admin">
      <a class="skip" href="#main" onClick={(event) => {
        event.preventDefault();
        document.querySelector<HTMLElement>(".admin-page")?.focus();
      }}>{t("skip")}</a>
      <header class="topbar">
        {narrow.value && <IconButton icon="menu" label={a("administration")} onClick={() => (drawer.value = true)} />}
        <a class="brand" href={hash("overview")}>
          <Mark size={28} />
          <span>{server.value?.hostname}</span>
        </a>
        <span class="gap" />
        <a class="button quiet to-mail" href="/"><Icon name="inbox" /> {a("to_mail")}</a>
        <MenuButton icon="palette" label={a("appearance")} items={[
          ...(["auto", "light", "dark"] as Theme[]).map((theme) => ({
            label: t(`theme_${theme}`), checked: preferences.value.theme === theme, run: () => prefer({ theme }),
          })),
          null,
          ...(Object.keys(LANGUAGES) as Language[]).map((name) => ({
            label: LANGUAGES[name], checked: preferences.value.language === name, run: () => language(name),
          })),
        ]} />
        <IconButton icon="signout" label={t("sign_out")} onClick={() => void leave()} />
      </header>
      {!narrow.value && nav}
      {narrow.value && drawer.value && (
        <Drawer label={a("administration")} title={server.value?.hostname ?? ""} close={() => (drawer.value = false)}>{nav}</Drawer>
      )}
      <main id="main" class="admin-page" tabIndex={-1}>{credentials && <Page />}</main>
      <QuestionDialog />
      <NoticeBar />
    </div>
  );
}
