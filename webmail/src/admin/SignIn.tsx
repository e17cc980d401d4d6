import { useEffect, useRef, useState } from "preact/hooks";
import { t } from "../i18n";
import { OwnCredentials, SignInError } from "../state/auth";
import { Field, Mark } from "../views/common";
import { enter, leave, words } from "./state";
import { a } from "./text";

const SAID = {
  wrong: "signin_wrong", code_wrong: "signin_code_wrong", too_many: "signin_too_many", insecure: "signin_insecure", network: "signin_network",
} as const;

export function SignIn(props: { refused: boolean }) {
  const [login, setLogin] = useState("");
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const [needsCode, setNeedsCode] = useState(false);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  const codeField = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (needsCode) codeField.current?.focus();
  }, [needsCode]);
  const submit = async (event: Event) => {
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    setProblem("");
    try {
      await enter(await OwnCredentials.signIn(login.trim(), password, code.replace(/\s/g, ""), false));
    } catch (error) {
      if (!(error instanceof SignInError)) setProblem(words(error));
      else if (error.reason === "code_required") setNeedsCode(true);
      else setProblem(error.reason in SAID ? t(SAID[error.reason as keyof typeof SAID]) : `${t("signin_other")} ${error.message}`);
    } finally {
      setBusy(false);
    }
  };
  if (props.refused) {
    return (
      <main class="signin">
        <div class="signin-card">
          <h1>{a("no_admin_title")}</h1>
          <p class="muted">{a("no_admin_text")}</p>
          <p class="signin-acts">
            <a class="button primary" href="/">{a("to_mail")}</a>
            <button type="button" class="button" onClick={() => void leave()}>{a("other_account")}</button>
          </p>
        </div>
      </main>
    );
  }
  return (
    <main class="signin">
      <div class="signin-card">
        <Mark size={56} />
        <h1>{a("administration")}</h1>
        <p class="muted">{location.host}</p>
        <form onSubmit={submit}>
          <Field label={t("signin_login")}>
            {(id) => <input id={id} type="email" autocomplete="username" required autofocus value={login} onInput={(event) => setLogin(event.currentTarget.value)} />}
          </Field>
          <Field label={t("signin_password")}>
            {(id) => <input id={id} type="password" autocomplete="current-password" required value={password} onInput={(event) => setPassword(event.currentTarget.value)} />}
          </Field>
          {needsCode && (
            <Field label={t("signin_code")} hint={t("signin_code_hint")}>
              {(id) => <input id={id} ref={codeField} class="code" inputMode="numeric" autocomplete="one-time-code" required value={code} onInput={(event) => setCode(event.currentTarget.value)} />}
            </Field>
          )}
          {problem && <p class="problem" role="alert">{problem}</p>}
          <button type="submit" class="button primary wide" disabled={busy}>{busy ? t("signin_busy") : t("signin_go")}</button>
        </form>
      </div>
    </main>
  );
}
