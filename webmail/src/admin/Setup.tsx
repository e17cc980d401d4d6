import { useState } from "preact/hooks";
import { LANGUAGES, language, type Language } from "../i18n";
import { prefer } from "../state/app";
import { OwnCredentials } from "../state/auth";
import { Field, Icon, Mark } from "../views/common";
import { ApiProblem, call, get, type Domain, type Health } from "./api";
import { Records } from "./Domains";
import { Badge, Head, Loading } from "./parts";
import { act, enter, go, hash, server, setup, useLoad, words } from "./state";
import { a, loadTexts } from "./text";

/** The first step: whoever can read the code on the server makes its first domain and administrator. */
export function Setup() {
  const [code, setCode] = useState("");
  const [domain, setDomain] = useState("");
  const [local, setLocal] = useState("");
  const [password, setPassword] = useState("");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  const submit = async (event: Event) => {
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    setProblem("");
    const login = `${local.trim()}@${domain.trim()}`;
    try {
      await call("POST", "/setup", { code: code.trim(), domain: domain.trim(), login, password, language: language.value });
      await enter(await OwnCredentials.signIn(login, password, "", false));
      go("welcome");
      setup.value = { open: false };
    } catch (error) {
      setProblem(error instanceof ApiProblem && error.status === 403 ? a("setup_code_wrong") : words(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <main class="signin">
      <div class="signin-card setup">
        <Mark size={56} />
        <h1>{a("setup_title")}</h1>
        <p class="muted">{a("setup_lead", { hostname: setup.value.hostname ?? "" })}</p>
        <form onSubmit={submit}>
          <Field label={a("setup_code")} hint={a("setup_code_hint", { file: setup.value.code_file ?? "" })}>
            {(id) => <input id={id} required autofocus autocomplete="off" spellcheck={false} value={code} onInput={(event) => setCode(event.currentTarget.value)} />}
          </Field>
          <Field label={a("setup_domain")} hint={a("setup_domain_hint")}>
            {(id) => <input id={id} required placeholder="example.org" spellcheck={false} autocapitalize="off" value={domain} onInput={(event) => setDomain(event.currentTarget.value)} />}
          </Field>
          <Field label={a("setup_login")} hint={a("setup_login_hint", { domain: domain.trim() || "example.org" })}>
            {(id) => <input id={id} required pattern="[^@\s]+" autocomplete="username" autocapitalize="off" value={local} onInput={(event) => setLocal(event.currentTarget.value)} />}
          </Field>
          <Field label={a("password")} hint={a("password_hint")}>
            {(id) => <input id={id} type="password" required minLength={8} autocomplete="new-password" value={password} onInput={(event) => setPassword(event.currentTarget.value)} />}
          </Field>
          {problem && <p class="problem" role="alert">{problem}</p>}
          <button type="submit" class="button primary wide" disabled={busy}>{a("setup_go")}</button>
        </form>
        <div class="signin-languages" role="group" aria-label={a("language")}>
          {(Object.keys(LANGUAGES) as Language[]).map((name) => (
            <button type="button" key={name} lang={name} class="link" aria-pressed={language.value === name} onClick={() => void loadTexts(name).then(() => prefer({ language: name }))}>{LANGUAGES[name]}</button>
          ))}
        </div>
      </div>
    </main>
  );
}

/** What comes after: DNS, the certificate, a message that shows that mail arrives. */
export function Welcome() {
  const domains = useLoad(() => get<Domain[]>("/domains"), "domains");
  const health = useLoad(() => get<Health>("/server/health"), "health");
  const [to, setTo] = useState("");
  const [sent, setSent] = useState("");
  const send = async (event: Event) => {
    event.preventDefault();
    const made = await act(() => call<{ id: string }>("POST", "/server/test-message", { to: to.trim() }), a("test_sent"));
    if (made) setSent(made.id);
  };
  const tls = health.value?.complaints.filter((one) => one.subject.startsWith("tls"));
  return (
    <>
      <Head title={a("welcome")} lead={a("welcome_lead", { hostname: server.value?.hostname ?? "" })}>
        <a class="button" href={hash("overview")}>{a("welcome_later")}</a>
      </Head>
      <h2 class="step"><span>1</span> {a("step_dns")}</h2>
      <Loading of={domains}>{(found) => <>{found.map((one) => <Records name={one.name} key={one.name} />)}</>}</Loading>
      <h2 class="step"><span>2</span> {a("step_tls")}</h2>
      <section class="card">
        <p class="muted">{a("step_tls_text")}</p>
        {tls?.length === 0 && <p><Badge kind="good">{a("step_tls_good")}</Badge></p>}
        {tls?.map((one) => <p key={one.what}><Badge kind="warn">{one.subject}</Badge> {one.what}. {one.remedy}.</p>)}
      </section>
      <h2 class="step"><span>3</span> {a("step_test")}</h2>
      <form class="card" onSubmit={send}>
        <p class="muted">{a("step_test_text")}</p>
        <Field label={a("address")}>
          {(id) => <input id={id} type="email" required value={to} onInput={(event) => setTo(event.currentTarget.value)} />}
        </Field>
        <footer>
          {sent && <a href={hash("trace", sent)}>{a("test_trace")}</a>}
          <span class="gap" />
          <button type="submit" class="button primary"><Icon name="send" /> {a("test_send")}</button>
        </footer>
      </form>
    </>
  );
}
