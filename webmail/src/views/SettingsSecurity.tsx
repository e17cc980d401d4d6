import { useEffect, useState } from "preact/hooks";
import { mediumDate, t } from "../i18n";
import { Refused } from "../jmap/client";
import { qr } from "../lib/qr";
import { ask, jmap, say, sayError } from "../state/app";
import { Check, Field, Icon, Spinner } from "./common";

async function auth<T>(method: string, path: string, body?: unknown): Promise<T> {
  const answer = await jmap().fetch(jmap().absolute(`/auth/${path}`), {
    method, ...(body === undefined ? {} : { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }),
  });
  return (answer.status === 204 ? undefined : await answer.json()) as T;
}

/** What went wrong, in words. */
function wordsOf(error: unknown): string {
  if (error instanceof Refused) {
    if (error.type === "wrong") return t("password_wrong");
    if (error.type === "wrong_code") return t("signin_code_wrong");
    if (error.type === "later") return t("signin_too_many");
    return error.message;
  }
  return error instanceof Error && error.message ? error.message : t("error_save");
}

/** For password managers: whose password is asked for. */
function Owner() {
  return <input type="email" autocomplete="username" value={jmap().session.username} readOnly hidden />;
}

export function Password() {
  const [old, setOld] = useState("");
  const [fresh, setFresh] = useState("");
  const [again, setAgain] = useState("");
  const [problem, setProblem] = useState("");
  const save = async (event: Event) => {
    event.preventDefault();
    if (fresh !== again) {
      setProblem(t("password_differ"));
      return;
    }
    try {
      await auth("POST", "password", { old, new: fresh });
      setOld("");
      setFresh("");
      setAgain("");
      setProblem("");
      say(t("password_changed"));
    } catch (error) {
      setProblem(wordsOf(error));
    }
  };
  return (
    <form class="card" onSubmit={save}>
      <h2>{t("password")}</h2>
      <Owner />
      <Field label={t("password_old")}>
        {(id) => <input id={id} type="password" autocomplete="current-password" required value={old} onInput={(event) => setOld(event.currentTarget.value)} />}
      </Field>
      <Field label={t("password_new")}>
        {(id) => <input id={id} type="password" autocomplete="new-password" required minLength={8} value={fresh} onInput={(event) => setFresh(event.currentTarget.value)} />}
      </Field>
      <Field label={t("password_again")}>
        {(id) => <input id={id} type="password" autocomplete="new-password" required value={again} onInput={(event) => setAgain(event.currentTarget.value)} />}
      </Field>
      {problem && <p class="problem" role="alert">{problem}</p>}
      <p class="hint">{t("password_hint")}</p>
      <footer><span class="gap" /><button type="submit" class="button primary">{t("password_change")}</button></footer>
    </form>
  );
}

interface Factor {
  on: boolean;
  since: string | null;
  recovery_codes: number;
}

export function SecondFactor() {
  const [factor, setFactor] = useState<Factor | null>(null);
  const [password, setPassword] = useState("");
  const [offered, setOffered] = useState<{ secret: string; uri: string } | null>(null);
  const [code, setCode] = useState("");
  const [codes, setCodes] = useState<string[] | null>(null);
  const [problem, setProblem] = useState("");
  const load = () => auth<Factor>("GET", "totp").then(setFactor, (error: unknown) => sayError("error_load", error));
  useEffect(() => void load(), []);
  if (!factor) return <section class="card"><Spinner /></section>;
  const attempt = async (run: () => Promise<void>) => {
    try {
      await run();
      setProblem("");
    } catch (error) {
      setProblem(wordsOf(error));
    }
  };
  const passwordField = (
    <>
    <Owner />
    <Field label={t("password_old")}>
      {(id) => <input id={id} type="password" autocomplete="current-password" required value={password} onInput={(event) => setPassword(event.currentTarget.value)} />}
    </Field>
    </>
  );
  return (
    <section class="card">
      <h2>{t("factor")}</h2>
      {codes ? (
        <>
          <p>{t("factor_codes")}</p>
          <ul class="recovery">{codes.map((one) => <li key={one}><code>{one}</code></li>)}</ul>
          <footer>
            <button type="button" class="button" onClick={() => void navigator.clipboard.writeText(codes.join("\n")).then(() => say(t("copied")))}>{t("copy")}</button>
            <span class="gap" />
            <button type="button" class="button primary" onClick={() => setCodes(null)}>{t("factor_kept")}</button>
          </footer>
        </>
      ) : factor.on ? (
        <form onSubmit={(event) => {
          event.preventDefault();
          void attempt(async () => {
            setCodes((await auth<{ recovery_codes: string[] }>("POST", "totp/recovery-codes", { password })).recovery_codes);
            setPassword("");
            await load();
          });
        }}>
          <p><span class="good"><Icon name="check" /></span> {t("factor_on", { time: factor.since ? mediumDate(factor.since) : "" })} {t("factor_left", { n: factor.recovery_codes })}</p>
          {passwordField}
          {problem && <p class="problem" role="alert">{problem}</p>}
          <footer>
            <button type="button" class="button danger" disabled={!password} onClick={() => void attempt(async () => {
              await auth("DELETE", "totp", { password });
              setPassword("");
              say(t("factor_ended"));
              await load();
            })}>{t("factor_end")}</button>
            <span class="gap" />
            <button type="submit" class="button">{t("factor_renew")}</button>
          </footer>
        </form>
      ) : offered ? (
        <form onSubmit={(event) => {
          event.preventDefault();
          void attempt(async () => {
            setCodes((await auth<{ recovery_codes: string[] }>("POST", "totp/confirm", { code: code.replace(/\s/g, "") })).recovery_codes);
            setOffered(null);
            setCode("");
            await load();
          });
        }}>
          <p>{t("factor_scan")}</p>
          <Qr text={offered.uri} />
          <p class="hint">{t("factor_secret")} <code class="secret">{offered.secret.replace(/(.{4})/g, "$1 ").trim()}</code></p>
          <Field label={t("signin_code")}>
            {(id) => <input id={id} class="code" inputMode="numeric" autocomplete="one-time-code" required value={code} onInput={(event) => setCode(event.currentTarget.value)} />}
          </Field>
          {problem && <p class="problem" role="alert">{problem}</p>}
          <footer>
            <span class="gap" />
            <button type="button" class="button quiet" onClick={() => setOffered(null)}>{t("cancel")}</button>
            <button type="submit" class="button primary">{t("factor_confirm")}</button>
          </footer>
        </form>
      ) : (
        <form onSubmit={(event) => {
          event.preventDefault();
          void attempt(async () => {
            setOffered(await auth("POST", "totp", { password }));
            setPassword("");
          });
        }}>
          <p>{t("factor_off")}</p>
          {passwordField}
          {problem && <p class="problem" role="alert">{problem}</p>}
          <footer><span class="gap" /><button type="submit" class="button primary">{t("factor_begin")}</button></footer>
        </form>
      )}
    </section>
  );
}

/** As one path of squares: no style and no image to fetch. */
function Qr({ text }: { text: string }) {
  const rows = qr(text);
  const path = rows.flatMap((row, y) => row.map((dark, x) => (dark ? `M${x + 4} ${y + 4}h1v1h-1z` : ""))).join("");
  const side = rows.length + 8;
  return (
    <svg class="qr" viewBox={`0 0 ${side} ${side}`} role="img" aria-label={t("factor_qr")} shape-rendering="crispEdges">
      <rect width={side} height={side} fill="#fff" />
      <path d={path} fill="#000" />
    </svg>
  );
}

interface AppPassword {
  id: number;
  name: string;
  protocols: string[];
  created_at: string;
  used_at: string | null;
  expires_at: string | null;
}

const PROTOCOL_NAMES: Record<string, string> = {
  imap: "IMAP", pop3: "POP3", submission: "SMTP", smtp: "SMTP", jmap: "JMAP", dav: "CalDAV/CardDAV", managesieve: "ManageSieve",
};

export function AppPasswords() {
  const [list, setList] = useState<AppPassword[] | null>(null);
  const [known, setKnown] = useState<string[]>([]);
  const [name, setName] = useState("");
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [made, setMade] = useState<{ name: string; password: string } | null>(null);
  const [problem, setProblem] = useState("");
  const load = () =>
    auth<{ app_passwords: AppPassword[]; protocols: string[] }>("GET", "app-passwords").then((found) => {
      setList(found.app_passwords);
      setKnown(found.protocols);
    }, (error: unknown) => sayError("error_load", error));
  useEffect(() => void load(), []);
  if (!list) return <Spinner />;
  const add = async (event: Event) => {
    event.preventDefault();
    try {
      const found = await auth<AppPassword & { password: string }>("POST", "app-passwords", {
        name: name.trim(), ...(chosen.size ? { protocols: [...chosen] } : {}),
      });
      setMade(found);
      setName("");
      setChosen(new Set());
      setProblem("");
      await load();
    } catch (error) {
      setProblem(wordsOf(error));
    }
  };
  const remove = async (one: AppPassword) => {
    if ((await ask({ title: t("app_delete"), text: t("app_delete_text", { name: one.name }), yes: t("delete"), danger: true })) === null) return;
    try {
      await auth("DELETE", `app-passwords/${one.id}`);
      await load();
    } catch (error) {
      sayError("error_save", error);
    }
  };
  return (
    <>
      <p class="lead">{t("apps_lead")}</p>
      {made && (
        <section class="card made" role="status">
          <p>{t("app_made", { name: made.name })}</p>
          <p><code class="secret">{made.password}</code></p>
          <footer>
            <button type="button" class="button" onClick={() => void navigator.clipboard.writeText(made.password).then(() => say(t("copied")))}>{t("copy")}</button>
            <span class="gap" />
            <button type="button" class="button quiet" onClick={() => setMade(null)}>{t("close")}</button>
          </footer>
        </section>
      )}
      {list.map((one) => (
        <section class="card line" key={one.id}>
          <div>
            <strong>{one.name}</strong>
            <span class="muted">
              {one.protocols.length ? one.protocols.map((name) => PROTOCOL_NAMES[name] ?? name).join(", ") : t("app_everything")}
              {" · "}
              {one.used_at ? t("used_last", { time: mediumDate(one.used_at) }) : t("used_never")}
            </span>
          </div>
          <button type="button" class="button danger" onClick={() => void remove(one)}>{t("delete")}</button>
        </section>
      ))}
      <form class="card" onSubmit={add}>
        <h2>{t("app_new")}</h2>
        <Field label={t("app_name")} hint={t("app_name_hint")}>
          {(id) => <input id={id} required maxLength={120} value={name} onInput={(event) => setName(event.currentTarget.value)} />}
        </Field>
        <fieldset class="plain">
          <legend>{t("app_for")}</legend>
          <div class="checks">
            {known.map((one) => (
              <Check key={one} label={PROTOCOL_NAMES[one] ?? one} checked={chosen.has(one)} change={(on) => {
                const next = new Set(chosen);
                if (on) next.add(one);
                else next.delete(one);
                setChosen(next);
              }} />
            ))}
          </div>
          <p class="hint">{t("app_for_hint")}</p>
        </fieldset>
        {problem && <p class="problem" role="alert">{problem}</p>}
        <footer><span class="gap" /><button type="submit" class="button primary">{t("create")}</button></footer>
      </form>
    </>
  );
}

interface SignedIn {
  id: number;
  kind: "web" | "client";
  name: string;
  device: string;
  address: string;
  created_at: string;
  used_at: string | null;
  current: boolean;
}

export function Sessions() {
  const [list, setList] = useState<SignedIn[] | null>(null);
  const load = () =>
    auth<{ sessions: SignedIn[] }>("GET", "sessions").then((found) => setList(found.sessions), (error: unknown) => sayError("error_load", error));
  useEffect(() => void load(), []);
  if (!list) return <Spinner />;
  const end = async (path: string) => {
    try {
      await auth("DELETE", path);
      say(t("session_ended"));
      await load();
    } catch (error) {
      sayError("error_save", error);
    }
  };
  return (
    <>
      <p class="lead">{t("sessions_lead")}</p>
      {list.map((one) => (
        <section class="card line" key={one.id}>
          <div>
            <strong>{one.kind === "client" ? one.name : one.device || t("device_unknown")}</strong>
            {one.current && <span class="place">{t("session_here")}</span>}
            <span class="muted">
              {one.address} · {t("session_since", { time: mediumDate(one.created_at) })}
              {one.used_at && ` · ${t("used_last", { time: mediumDate(one.used_at) })}`}
            </span>
          </div>
          {!one.current && <button type="button" class="button" onClick={() => void end(`sessions/${one.id}`)}>{t("session_end")}</button>}
        </section>
      ))}
      {list.length > 1 && (
        <button type="button" class="button danger" onClick={() => void end("sessions")}>{t("sessions_end")}</button>
      )}
    </>
  );
}
