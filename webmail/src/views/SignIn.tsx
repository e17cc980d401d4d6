import { useEffect, useRef, useState } from "preact/hooks";
import { LANGUAGES, language, t, type Language } from "../i18n";
import { SignedOut, Unreachable } from "../jmap/client";
import { prefer } from "../state/app";
import { FixedCredentials, OwnCredentials, SignInError } from "../state/auth";
import { ended, enter, OWN_SESSION } from "../state/session";
import { Check, Field, Icon, Mark } from "./common";

/** `?server=` names another JMAP server's session resource. */
const given = new URLSearchParams(location.search).get("server") ?? "";
const host = URL.canParse(given) ? new URL(given).host : location.host;

export function SignIn() {
  const [login, setLogin] = useState(ended.value);
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const [needsCode, setNeedsCode] = useState(false);
  const [stay, setStay] = useState(true);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  const codeField = useRef<HTMLInputElement>(null);
  const passwordField = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (needsCode) codeField.current?.focus();
  }, [needsCode]);

  const submit = async (event: Event) => {
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    setProblem("");
    try {
      if (given) await enter(given, FixedCredentials.basic(login.trim(), password));
      else await enter(OWN_SESSION, await OwnCredentials.signIn(login.trim(), password, code.replace(/\s/g, ""), stay));
    } catch (error) {
      const reason = error instanceof SignInError ? error.reason : error instanceof SignedOut ? "wrong" : error instanceof Unreachable ? "away" : "other";
      if (reason === "code_required") {
        setNeedsCode(true);
        setProblem("");
      } else {
        setProblem(
          reason === "wrong" ? t("signin_wrong")
          : reason === "code_wrong" ? t("signin_code_wrong")
          : reason === "too_many" ? t("signin_too_many")
          : reason === "insecure" ? t("signin_insecure")
          : reason === "away" && given ? t("signin_away", { host })
          : reason === "network" || reason === "away" ? t("signin_network")
          : `${t("signin_other")} ${error instanceof Error ? error.message : ""}`,
        );
        if (reason === "wrong") passwordField.current?.select();
        if (reason === "code_wrong") {
          setCode("");
          setNeedsCode(true);
          codeField.current?.focus();
        }
      }
    } finally {
      setBusy(false);
    }
  };

  return (
    <main class="signin">
      <div class="signin-card">
        <Mark size={56} />
        <h1>{needsCode ? t("signin_second_title") : t("signin_title")}</h1>
        <p class="muted">{needsCode ? t("signin_second_text") : host}</p>
        {ended.value && !needsCode && <p class="banner" role="status">{t("signin_ended")}</p>}
        <form onSubmit={submit}>
          <div hidden={needsCode}>
            <Field label={t("signin_login")}>
              {(id) => (
                <input
                  id={id} type="email" inputMode="email" autocomplete="username" autocapitalize="off" spellcheck={false}
                  required value={login} onInput={(event) => setLogin(event.currentTarget.value)} autofocus
                />
              )}
            </Field>
            <Field label={t("signin_password")}>
              {(id) => (
                <input
                  id={id} ref={passwordField} type="password" autocomplete="current-password" required value={password}
                  onInput={(event) => setPassword(event.currentTarget.value)}
                />
              )}
            </Field>
          </div>
          {needsCode && (
            <Field label={t("signin_code")} hint={t("signin_code_hint")}>
              {(id) => (
                <input
                  id={id} ref={codeField} inputMode="numeric" autocomplete="one-time-code" required value={code}
                  class="code" maxLength={24} onInput={(event) => setCode(event.currentTarget.value)}
                />
              )}
            </Field>
          )}
          {!given && !needsCode && <Check label={t("signin_stay")} checked={stay} change={setStay} />}
          {problem && <p class="problem" role="alert">{problem}</p>}
          <button type="submit" class="button primary wide" disabled={busy}>
            {busy ? t("signin_busy") : needsCode ? t("signin_check") : t("signin_go")}
          </button>
          {needsCode && (
            <button type="button" class="button quiet wide" onClick={() => {
              setNeedsCode(false);
              setCode("");
              setProblem("");
            }}>
              <Icon name="back" /> {t("back")}
            </button>
          )}
        </form>
        <div class="signin-languages" role="group" aria-label={t("language")}>
          {(Object.keys(LANGUAGES) as Language[]).map((name) => (
            <button
              type="button" key={name} lang={name} class="link" aria-pressed={language.value === name}
              onClick={() => prefer({ language: name })}
            >
              {LANGUAGES[name]}
            </button>
          ))}
        </div>
      </div>
    </main>
  );
}
