import { useEffect, useState } from "preact/hooks";
import { LANGUAGES, size } from "../i18n";
import { ask, say } from "../state/app";
import { Check, Field, Icon, Spinner } from "../views/common";
import { at, call, get, type Account, type AccountMade, type AppPassword, type SecondFactor, type Share } from "./api";
import { Badge, type Change, Facts, FormDialog, Head, Loading, Once, Review, Search, Table } from "./parts";
import { act, go, hash, useLoad, words } from "./state";
import { a, ago, moment, yesNo } from "./text";

const AT_ONCE = 100;

export function Accounts() {
  const [text, setText] = useState("");
  const [rows, setRows] = useState<Account[] | null>(null);
  const [more, setMore] = useState(false);
  const [problem, setProblem] = useState("");
  const [adding, setAdding] = useState(false);
  const load = async (after: string) => {
    try {
      const found = await get<Account[]>("/accounts", { text, after, limit: AT_ONCE });
      setRows((before) => [...(after ? (before ?? []) : []), ...found]);
      setMore(found.length === AT_ONCE);
      setProblem("");
    } catch (error) {
      setProblem(words(error));
    }
  };
  useEffect(() => {
    const timer = setTimeout(() => void load(""), text ? 200 : 0);
    return () => clearTimeout(timer);
  }, [text]);
  return (
    <>
      <Head title={a("accounts")} lead={a("accounts_lead")}>
        <Search label={a("accounts_search")} value={text} change={setText} />
        <button type="button" class="button primary" onClick={() => setAdding(true)}><Icon name="plus" /> {a("account_add")}</button>
      </Head>
      {problem && <p class="banner bad" role="alert">{problem}</p>}
      {rows === null ? <div class="reader-wait"><Spinner /></div> : (
        <Table
          label={a("accounts")} rows={rows} key_={(one) => one.login} href={(one) => hash("accounts", one.login)}
          empty={<p>{text ? a("nothing_found") : a("accounts_none")}</p>}
          columns={[
            { title: a("account"), of: (one) => one.login },
            { title: a("name"), of: (one) => one.name || "–" },
            { title: a("emails"), of: (one) => one.emails, end: true },
            { title: a("used"), of: (one) => used(one), end: true },
            { title: a("state"), of: (one) => (
              <>
                {!one.enabled && <Badge kind="quiet">{a("disabled")}</Badge>}
                {one.admin && <Badge kind="warn">{a("administrator")}</Badge>}
                {one.kind === "shared" && <Badge kind="quiet">{a("shared")}</Badge>}
                {one.enabled && !one.admin && one.kind !== "shared" && <Badge kind="good">{a("enabled")}</Badge>}
              </>
            ) },
          ]}
        />
      )}
      {more && <button type="button" class="button more" onClick={() => void load(rows?.at(-1)?.login ?? "")}>{a("more")}</button>}
      {adding && <AddAccount close={() => setAdding(false)} />}
    </>
  );
}

const used = (one: Account) => (one.quota === null ? size(one.used) : a("used_of", { used: size(one.used), quota: size(one.quota) }));

function AddAccount(props: { close: () => void }) {
  const [login, setLogin] = useState("");
  const [name, setName] = useState("");
  const [own, setOwn] = useState(false);
  const [password, setPassword] = useState("");
  const [shared, setShared] = useState(false);
  const [admin, setAdmin] = useState(false);
  const [made, setMade] = useState<AccountMade | null>(null);
  if (made?.password) {
    return <Once title={a("account_made", { login: made.account.login })} text={a("password_once")} secret={made.password} close={() => go("accounts", made.account.login)} />;
  }
  return (
    <FormDialog title={a("account_add")} yes={a("add")} close={props.close} save={async () => {
      const secret = shared ? {} : own ? { password } : { generate: true };
      const found = await call<AccountMade>("POST", "/accounts", { login: login.trim(), name: name.trim(), shared, admin, ...secret });
      if (found.password) setMade(found);
      else go("accounts", found.account.login);
    }}>
      <Field label={a("address")}>
        {(id) => <input id={id} type="email" required autofocus value={login} autocomplete="off" onInput={(event) => setLogin(event.currentTarget.value)} />}
      </Field>
      <Field label={a("name")} hint={a("name_hint")}>
        {(id) => <input id={id} value={name} onInput={(event) => setName(event.currentTarget.value)} />}
      </Field>
      <Check label={a("shared")} hint={a("shared_hint")} checked={shared} change={setShared} />
      {!shared && <Check label={a("administrator")} hint={a("administrator_hint")} checked={admin} change={setAdmin} />}
      {!shared && <Check label={a("password_own")} hint={a("password_own_hint")} checked={own} change={setOwn} />}
      {!shared && own && (
        <Field label={a("password")}>
          {(id) => <input id={id} type="password" autocomplete="new-password" required minLength={8} value={password} onInput={(event) => setPassword(event.currentTarget.value)} />}
        </Field>
      )}
    </FormDialog>
  );
}

export function AccountPage(props: { login: string }) {
  const account = useLoad(() => get<Account>(at("accounts", props.login)), props.login);
  return (
    <>
      <p class="crumbs"><a href={hash("accounts")}>{a("accounts")}</a></p>
      {account.problem && !account.value && <Head title={props.login} />}
      <Loading of={account}>
        {(found) => (
          <>
            <Head title={found.login} lead={found.name}>
              <a class="button quiet" href={hash("trace", found.login)}>{a("trace")}</a>
              <a class="button quiet" href={hash("audit", found.login)}>{a("audit")}</a>
              <button type="button" class="button danger" onClick={() => void remove(found)}>{a("remove")}</button>
            </Head>
            <section class="card">
              <Facts of={[
                [a("emails"), found.emails], [a("used"), used(found)], [a("kind"), found.admin ? a("administrator") : found.kind === "shared" ? a("shared") : a("person")],
                [a("created"), moment(found.created_at)],
              ]} />
            </section>
            <Properties account={found} saved={account.set} key={JSON.stringify(found)} />
            <Addresses account={found} saved={account.set} />
            {found.kind === "person" && <SigningIn account={found} />}
            <Shares login={found.login} />
          </>
        )}
      </Loading>
    </>
  );
}

async function remove(one: Account): Promise<void> {
  const text = a("account_remove_text", { login: one.login, n: one.emails, size: size(one.used), addresses: one.addresses.join(", ") });
  const typed = await ask({ title: a("account_remove"), text, yes: a("remove"), danger: true, input: { label: a("type_login"), value: "" } });
  if (typed === null) return;
  if (typed.trim() !== one.login) {
    await ask({ title: a("account_remove"), text: a("not_the_login"), yes: a("done") });
    return;
  }
  if (await act(() => call("DELETE", at("accounts", one.login)), a("removed", { name: one.login }))) go("accounts");
}

function Properties(props: { account: Account; saved: (account: Account) => void }) {
  const one = props.account;
  const [name, setName] = useState(one.name);
  const [enabled, setEnabled] = useState(one.enabled);
  const [admin, setAdmin] = useState(one.admin);
  const [quota, setQuota] = useState(one.quota === null ? "" : String(one.quota / 1_000_000));
  const [language, setLanguage] = useState(one.language);
  const [reviewing, setReviewing] = useState(false);
  const octets = quota.trim() ? Math.round(Number(quota) * 1_000_000) : 0;
  const save = async () => {
    props.saved(await call<Account>("PATCH", at("accounts", one.login), {
      name: name.trim(), enabled, language, quota: octets, ...(one.kind === "person" ? { admin } : {}),
    }));
    say(a("saved"));
  };
  const room = (value: number) => (value ? size(value) : a("no_limit"));
  const spoken = (tag: string) => LANGUAGES[tag as keyof typeof LANGUAGES] ?? (tag || a("not_known"));
  const all: Change[] = [
    { name: a("name"), from: one.name, to: name.trim() },
    {
      name: a("quota"), from: room(one.quota ?? 0), to: room(octets),
      effect: octets && octets < one.used ? a("effect_quota_full", { used: size(one.used) }) : undefined,
    },
    { name: a("language"), from: spoken(one.language), to: spoken(language) },
    {
      name: a("account_enabled"), from: yesNo(one.enabled), to: yesNo(enabled),
      effect: a(enabled ? "effect_account_on" : "effect_account_off", { login: one.login, addresses: one.addresses.join(", ") }),
    },
    { name: a("administrator"), from: yesNo(one.admin), to: yesNo(admin), effect: a(admin ? "administrator_hint" : "effect_admin_off") },
  ];
  return (
    <>
      {reviewing && <Review all={all} save={save} close={() => setReviewing(false)} />}
      <form class="card" onSubmit={(event) => { event.preventDefault(); setReviewing(true); }}>
        <h2>{a("properties")}</h2>
        <Field label={a("name")}>
          {(id) => <input id={id} value={name} onInput={(event) => setName(event.currentTarget.value)} />}
        </Field>
        <div class="side-by-side">
          <Field label={a("quota")} hint={a("quota_hint")}>
            {(id) => <input id={id} type="number" min={0} step="any" value={quota} placeholder={a("no_limit")} onInput={(event) => setQuota(event.currentTarget.value)} />}
          </Field>
          <Field label={a("language")} hint={a("language_hint")}>
            {(id) => (
              <select id={id} value={language} onChange={(event) => setLanguage(event.currentTarget.value)}>
                <option value="">{a("not_known")}</option>
                {language && !(language in LANGUAGES) && <option value={language}>{language}</option>}
                {Object.entries(LANGUAGES).map(([tag, text]) => <option key={tag} value={tag}>{text}</option>)}
              </select>
            )}
          </Field>
        </div>
        <Check label={a("account_enabled")} hint={a("account_enabled_hint")} checked={enabled} change={setEnabled} />
        {one.kind === "person" && <Check label={a("administrator")} hint={a("administrator_hint")} checked={admin} change={setAdmin} />}
        <footer><span class="gap" /><button type="submit" class="button primary">{a("save")}</button></footer>
      </form>
    </>
  );
}

function Addresses(props: { account: Account; saved: (account: Account) => void }) {
  const one = props.account;
  const [adding, setAdding] = useState<"" | "address" | "rename">("");
  const [text, setText] = useState("");
  const drop = async (address: string) => {
    const sure = await ask({ title: a("address_remove"), text: a("address_remove_text", { address }), yes: a("remove"), danger: true });
    if (sure === null) return;
    const found = await act(() => call<Account>("DELETE", at("accounts", one.login, "addresses", address)), a("removed", { name: address }));
    if (found) props.saved(found);
  };
  return (
    <section class="card">
      <div class="card-head">
        <h2>{a("addresses")}</h2>
        <span class="card-acts">
          <button type="button" class="button quiet" onClick={() => { setText(one.login); setAdding("rename"); }}>{a("rename")}</button>
          <button type="button" class="button quiet" onClick={() => { setText(""); setAdding("address"); }}><Icon name="plus" /> {a("address_add")}</button>
        </span>
      </div>
      <ul class="lines">
        {one.addresses.map((address) => (
          <li key={address}>
            <span>{address} {address === one.login && <Badge kind="quiet">{a("primary")}</Badge>}</span>
            {address !== one.login && <button type="button" class="link" onClick={() => void drop(address)}>{a("remove")}</button>}
          </li>
        ))}
      </ul>
      {adding && (
        <FormDialog title={adding === "rename" ? a("rename") : a("address_add")} yes={a("save")} close={() => setAdding("")} save={async () => {
          if (adding === "rename") {
            const found = await call<Account>("POST", at("accounts", one.login, "rename"), { login: text.trim() });
            go("accounts", found.login);
          } else props.saved(await call<Account>("POST", at("accounts", one.login, "addresses"), { address: text.trim() }));
          setAdding("");
        }}>
          {adding === "rename" && <p class="muted">{a("rename_text", { login: one.login })}</p>}
          <Field label={a("address")} hint={adding === "address" ? a("address_hint") : undefined}>
            {(id) => <input id={id} required autofocus value={text} onInput={(event) => setText(event.currentTarget.value)} />}
          </Field>
        </FormDialog>
      )}
    </section>
  );
}

function SigningIn(props: { account: Account }) {
  const base = ["accounts", props.account.login];
  const apps = useLoad(() => get<AppPassword[]>(at(...base, "app-passwords")), `apps ${props.account.login}`);
  const factor = useLoad(() => get<SecondFactor>(at(...base, "second-factor")), `factor ${props.account.login}`);
  const [setting, setSetting] = useState(false);
  const end = async () => {
    const sure = await ask({ title: a("sign_out_all"), text: a("sign_out_text", { login: props.account.login }), yes: a("sign_out_all"), danger: true });
    if (sure === null) return;
    if (await act(() => call("POST", at(...base, "sign-out")), a("signed_out"))) factor.again();
  };
  const lose = async () => {
    const sure = await ask({ title: a("factor_remove"), text: a("factor_remove_text", { login: props.account.login }), yes: a("remove"), danger: true });
    if (sure !== null && (await act(() => call("DELETE", at(...base, "second-factor")), a("saved")))) factor.again();
  };
  const drop = async (app: AppPassword) => {
    const sure = await ask({ title: a("app_remove"), text: a("app_remove_text", { name: app.name }), yes: a("remove"), danger: true });
    if (sure === null) return;
    if (await act(() => call("DELETE", at(...base, "app-passwords", String(app.id))), a("removed", { name: app.name }))) apps.again();
  };
  return (
    <section class="card">
      <div class="card-head">
        <h2>{a("signing_in")}</h2>
        <button type="button" class="button quiet" onClick={() => setSetting(true)}><Icon name="key" /> {a("password_set")}</button>
      </div>
      <Loading of={factor}>
        {(found) => (
          <ul class="lines">
            <li>
              <span>{a("second_factor")} <Badge kind={found.on ? "good" : "quiet"}>{found.on ? a("on") : a("off")}</Badge></span>
              {found.on && <button type="button" class="link" onClick={() => void lose()}>{a("factor_remove")}</button>}
            </li>
            <li>
              <span>{a("n_sessions", { n: found.sessions })}</span>
              {found.sessions > 0 && <button type="button" class="link" onClick={() => void end()}>{a("sign_out_all")}</button>}
            </li>
            <li><a class="link" href={hash("logins", props.account.login)}>{a("attempts_of")}</a></li>
          </ul>
        )}
      </Loading>
      <h3>{a("app_passwords")}</h3>
      <Loading of={apps}>
        {(found) => found.length ? (
          <ul class="lines">
            {found.map((app) => (
              <li key={app.id}>
                <span>{app.name} <span class="muted">{app.protocols.join(", ")} · {app.used_at ? a("last_used", { when: ago(app.used_at) }) : a("never_used")}</span></span>
                <button type="button" class="link" onClick={() => void drop(app)}>{a("remove")}</button>
              </li>
            ))}
          </ul>
        ) : <p class="muted">{a("app_none")}</p>}
      </Loading>
      {setting && <SetPassword login={props.account.login} close={() => setSetting(false)} />}
    </section>
  );
}

function SetPassword(props: { login: string; close: () => void }) {
  const [own, setOwn] = useState(false);
  const [password, setPassword] = useState("");
  const [made, setMade] = useState("");
  if (made) return <Once title={a("password_set")} text={a("password_once")} secret={made} close={props.close} />;
  return (
    <FormDialog title={a("password_set")} yes={a("save")} close={props.close} save={async () => {
      const found = await call<AccountMade>("PUT", at("accounts", props.login, "password"), own ? { password } : { generate: true });
      if (found.password) setMade(found.password);
      else props.close();
    }}>
      <p class="muted">{a("password_set_text", { login: props.login })}</p>
      <Check label={a("password_own")} hint={a("password_own_hint")} checked={own} change={setOwn} />
      {own && (
        <Field label={a("password")}>
          {(id) => <input id={id} type="password" autocomplete="new-password" required minLength={8} value={password} onInput={(event) => setPassword(event.currentTarget.value)} />}
        </Field>
      )}
    </FormDialog>
  );
}

const NAMED_RIGHTS = { rights_read: "lrs", rights_write: "lrswikxte", rights_all: "lrswikxtepa" } as const; // RFC 4314
const letters = (text: string) => [...text].sort().join("");

/** What the form has a word for, in that word; else the letters. */
function rightsOf(rights: string) {
  const known = (Object.keys(NAMED_RIGHTS) as (keyof typeof NAMED_RIGHTS)[]).find((name) => letters(NAMED_RIGHTS[name]) === letters(rights));
  return known ? a(known) : <code>{rights}</code>;
}

function Shares(props: { login: string }) {
  const shares = useLoad(() => get<Share[]>(at("accounts", props.login, "shares")), `shares ${props.login}`);
  const [adding, setAdding] = useState(false);
  const [mailbox, setMailbox] = useState("INBOX");
  const [who, setWho] = useState("");
  const [rights, setRights] = useState("read");
  const stop = async (one: Share) => {
    const named = one.mailbox === "*" ? a("all_mailboxes") : one.mailbox;
    const sure = await ask({ title: a("share_remove"), text: a("share_remove_text", { who: one.who, mailbox: named }), yes: a("share_remove"), danger: true });
    if (sure === null) return;
    await act(async () => {
      shares.set(await call<Share[]>("POST", at("accounts", props.login, "shares"), { mailbox: one.mailbox, who: one.who, rights: "none" }));
      return true;
    }, a("saved"));
  };
  return (
    <section class="card">
      <div class="card-head">
        <h2>{a("shares")}</h2>
        <button type="button" class="button quiet" onClick={() => setAdding(true)}><Icon name="plus" /> {a("share_add")}</button>
      </div>
      <Loading of={shares}>
        {(found) => (
          <Table label={a("shares")} rows={found} key_={(one) => `${one.mailbox} ${one.who}`} empty={<p class="muted">{a("shares_none")}</p>} columns={[
            { title: a("mailbox"), of: (one) => (one.mailbox === "*" ? a("all_mailboxes") : one.mailbox) },
            { title: a("who"), of: (one) => one.who },
            { title: a("rights"), of: (one) => rightsOf(one.rights) },
            { title: "", of: (one) => <button type="button" class="link" onClick={() => void stop(one)}>{a("remove")}</button>, end: true },
          ]} />
        )}
      </Loading>
      {adding && (
        <FormDialog title={a("share_add")} yes={a("save")} close={() => setAdding(false)} save={async () => {
          shares.set(await call<Share[]>("POST", at("accounts", props.login, "shares"), { mailbox: mailbox.trim(), who: who.trim(), rights }));
          setAdding(false);
        }}>
          <Field label={a("mailbox")} hint={a("mailbox_hint")}>
            {(id) => <input id={id} required value={mailbox} onInput={(event) => setMailbox(event.currentTarget.value)} />}
          </Field>
          <Field label={a("who")} hint={a("who_hint")}>
            {(id) => <input id={id} required autofocus value={who} onInput={(event) => setWho(event.currentTarget.value)} />}
          </Field>
          <Field label={a("rights")}>
            {(id) => (
              <select id={id} value={rights} onChange={(event) => setRights(event.currentTarget.value)}>
                <option value="read">{a("rights_read")}</option>
                <option value="write">{a("rights_write")}</option>
                <option value="all">{a("rights_all")}</option>
              </select>
            )}
          </Field>
        </FormDialog>
      )}
    </section>
  );
}
