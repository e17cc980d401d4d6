import { t, type Language, LANGUAGES } from "../i18n";
import type { Key } from "../i18n/en";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { QUOTA, RULES, SUBMISSION, VACATION } from "../jmap/client";
import { hashOf, jmap, prefer, preferences, route, say, type Density, type Theme } from "../state/app";
import { OwnCredentials } from "../state/auth";
import { enableNotices, notices, noticesPossible } from "../state/notify";
import { credentials } from "../state/session";
import { Check, Field, Icon, type IconName } from "./common";
import { QuotaBar } from "./Quota";
import { Identities } from "./SettingsIdentities";
import { Rules } from "./SettingsRules";
import { AppPasswords, Password, SecondFactor, Sessions } from "./SettingsSecurity";
import { Vacation } from "./SettingsVacation";

interface Tab {
  id: string;
  title: Key;
  icon: IconName;
  shown: () => boolean;
  view: () => preact.JSX.Element;
}

const own = () => credentials instanceof OwnCredentials;
const TABS: Tab[] = [
  { id: "general", title: "settings_general", icon: "palette", shown: () => true, view: () => <General /> },
  { id: "identities", title: "settings_identities", icon: "person", shown: () => jmap().has(SUBMISSION), view: () => <Identities /> },
  { id: "rules", title: "settings_rules", icon: "rules", shown: () => jmap().has(RULES), view: () => <Rules /> },
  { id: "vacation", title: "settings_vacation", icon: "vacation", shown: () => jmap().has(VACATION), view: () => <Vacation /> },
  { id: "security", title: "settings_security", icon: "lock", shown: own, view: () => <><Password /><SecondFactor /></> },
  { id: "apps", title: "settings_apps", icon: "key", shown: own, view: () => <AppPasswords /> },
  { id: "sessions", title: "settings_sessions", icon: "signout", shown: own, view: () => <Sessions /> },
  { id: "storage", title: "settings_storage", icon: "archive", shown: () => jmap().has(QUOTA), view: () => <Storage /> },
];

export default function Settings() {
  const tabs = TABS.filter((tab) => tab.shown());
  const here = tabs.find((tab) => tab.id === route.value.tab) ?? tabs[0]!;
  const list = useRef<HTMLUListElement>(null);
  // On a phone the tabs are one row that is wider than the screen.
  useLayoutEffect(() => list.current?.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" }), [here.id]);
  return (
    <div class="settings">
      <nav class="settings-tabs" aria-label={t("settings")}>
        <a class="button quiet settings-back" href={hashOf({ mailbox: "" })}><Icon name="back" /> {t("back_to_mail")}</a>
        <ul ref={list}>
          {tabs.map((tab) => (
            <li key={tab.id}>
              <a href={hashOf({ view: "settings", tab: tab.id })} aria-current={tab === here ? "page" : undefined}>
                <Icon name={tab.icon} /> {t(tab.title)}
              </a>
            </li>
          ))}
        </ul>
      </nav>
      <div class="settings-page" tabIndex={-1} key={here.id}>
        <h1>{t(here.title)}</h1>
        {here.view()}
      </div>
    </div>
  );
}

function Choice<T extends string>(props: {
  label: string; value: T; choices: [T, string][]; change: (value: T) => void;
}) {
  return (
    <fieldset class="choice">
      <legend>{props.label}</legend>
      <div class="choice-row">
        {props.choices.map(([value, text]) => (
          <label key={value} class={value === props.value ? "on" : ""}>
            <input
              type="radio" name={props.label} value={value} checked={value === props.value} class="sr-only"
              onChange={() => props.change(value)}
            />
            {text}
          </label>
        ))}
      </div>
    </fieldset>
  );
}

function General() {
  const now = preferences.value;
  const [denied, setDenied] = useState(false);
  return (
    <>
      <section class="card">
        <Field label={t("language")}>
          {(id) => (
            <select id={id} value={now.language} onChange={(event) => prefer({ language: event.currentTarget.value as Language })}>
              {Object.entries(LANGUAGES).map(([name, text]) => <option key={name} value={name} lang={name}>{text}</option>)}
            </select>
          )}
        </Field>
        <Choice<Theme> label={t("theme")} value={now.theme} change={(theme) => prefer({ theme })} choices={[
          ["auto", t("theme_auto")], ["light", t("theme_light")], ["dark", t("theme_dark")],
        ]} />
        <Choice<Density> label={t("density")} value={now.density} change={(density) => prefer({ density })} choices={[
          ["comfortable", t("density_comfortable")], ["compact", t("density_compact")],
        ]} />
      </section>
      <section class="card">
        <h2>{t("reading")}</h2>
        <Check label={t("use_conversations")} hint={t("use_conversations_hint")} checked={now.conversations} change={(conversations) => prefer({ conversations })} />
        {noticesPossible() && (
          <Check label={t("use_notices")} hint={denied ? t("notices_denied") : t("use_notices_hint")} checked={notices.value} change={(on) => {
            void enableNotices(on).then((done) => setDenied(!done));
          }} />
        )}
        {now.imagesFrom.length > 0 && (
          <div class="images-from">
            <p>{t("images_from")}</p>
            <ul>
              {now.imagesFrom.map((address) => (
                <li key={address}>
                  <span>{address}</span>
                  <button type="button" class="link" onClick={() => {
                    prefer({ imagesFrom: now.imagesFrom.filter((one) => one !== address) });
                    say(t("saved"));
                  }}>{t("remove")}</button>
                </li>
              ))}
            </ul>
          </div>
        )}
      </section>
      <section class="card">
        <h2>{t("writing")}</h2>
        <Choice<"rich" | "plain"> label={t("write_as")} value={now.plain ? "plain" : "rich"} change={(form) => prefer({ plain: form === "plain" })} choices={[
          ["rich", t("rich_text")], ["plain", t("plain_text")],
        ]} />
        <Field label={t("undo_time")} hint={t("undo_time_hint")}>
          {(id) => (
            <select id={id} value={String(now.undoSeconds)} onChange={(event) => prefer({ undoSeconds: Number(event.currentTarget.value) })}>
              {[0, 5, 10, 20, 30, 60].map((n) => <option key={n} value={String(n)}>{n ? t("n_seconds", { n }) : t("undo_never")}</option>)}
            </select>
          )}
        </Field>
      </section>
    </>
  );
}

function Storage() {
  return (
    <section class="card">
      <QuotaBar />
      <p class="hint">{t("quota_hint")}</p>
    </section>
  );
}
