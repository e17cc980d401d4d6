import { useEffect, useState } from "preact/hooks";
import { number, size, span } from "../i18n";
import { Check, Spinner } from "../views/common";
import { call, get, type Forgiven, type Limit, type Limits, type SignInLine, type Slowed, type SlowedOne } from "./api";
import { Badge, FormDialog, Head, Loading, Search, Table } from "./parts";
import { act, go, hash, useLoad, words } from "./state";
import { a, ago, moment, named } from "./text";

const AT_ONCE = 50;
const EVERY_S = 10; // what is shown is looked at again

/** Who signs in, who is kept from it, and the limits that hold. about: a part of a login or address. */
export function Logins(props: { about: string }) {
  const slowed = useLoad(() => get<Slowed>("/logins/slowed", { limit: 200 }), "slowed", EVERY_S);
  const [who, setWho] = useState("");
  const [turn, setTurn] = useState(0);
  return (
    <>
      <Head title={a("logins_limits")} lead={a("logins_lead")} />
      <section class="card">
        <h2>{a("slowed")}</h2>
        <p class="muted">{a("slowed_hint")}</p>
        <Loading of={slowed}>
          {(found) => (
            <>
              <Table label={a("slowed")} rows={found.slowed} key_={(one) => `${one.kind} ${one.network} ${one.login}`} empty={<p>{a("slowed_none")}</p>} columns={[
                { title: a("login_or_network"), of: (one) => one.login || one.network },
                { title: a("state"), of: (one) => <Kept of={one} /> },
                { title: a("failures"), of: (one) => number(one.failures), end: true },
                { title: a("forgotten"), of: (one) => <>{moment(one.until)} <span class="hint block">{a("last_failure", { ago: ago(one.last_at) })}</span></> },
                { title: "", of: (one) => (
                  <span class="row-acts" role="group" aria-label={one.login || one.network}>
                    <button type="button" class="link" onClick={() => setWho(one.login || one.network)}>{a("forgive")}</button>
                    <a class="link" href={hash("logins", one.login || one.network.replace(/::\/64$/, ""))}>{a("attempts")}</a>
                  </span>
                ), end: true },
              ]} />
              {found.number > found.slowed.length && <p class="muted">{a("slowed_more", { shown: found.slowed.length, n: found.number })}</p>}
            </>
          )}
        </Loading>
      </section>
      <Record about={props.about} key={`${props.about} ${turn}`} />
      <LimitsHere />
      {who && <Forgive who={who} close={() => setWho("")} done={() => {
        setWho("");
        setTurn(turn + 1);
        slowed.again();
      }} />}
    </>
  );
}

/** What happens to a network or login that is not simply let in. */
function Kept(props: { of: SlowedOne }) {
  const one = props.of;
  if (one.kind === "code") return <Badge kind="bad">{a("codes_rest")}</Badge>;
  if (one.refused) return <Badge kind="bad">{a("turned_away")}</Badge>;
  if (!one.delay_s) return <Badge kind="quiet">{a("slowed_not_yet")}</Badge>;
  return <Badge kind="warn">{a("waits", { time: span(one.delay_s * 1000) })}</Badge>;
}

/** First what letting in will do, and what it will not; then doing it. */
function Forgive(props: { who: string; close: () => void; done: () => void }) {
  const preview = useLoad(() => call<Forgiven>("POST", "/logins/forgive", { who: props.who, dry_run: true }), props.who);
  const found = preview.value;
  const nothing = !!found && !found.lifted.length && !found.together;
  return (
    <FormDialog wide title={a("forgive")} yes={a("forgive")} close={props.close} disabled={!found || nothing} save={async () => {
      await call<Forgiven>("POST", "/logins/forgive", { who: props.who });
      await act(async () => true, a("forgiven", { who: props.who }));
      props.done();
    }}>
      <Loading of={preview}>
        {(known) => (
          <>
            <p>{nothing ? a("forgive_nothing", { who: props.who }) : a(known.login ? "forgive_login" : "forgive_network", { who: props.who })}</p>
            <ul class="changes">
              {known.lifted.map((one) => (
                <li key={`${one.kind} ${one.network} ${one.login}`}>
                  <Kept of={one} /> <span class="hint block">{a("failures_n", { n: one.failures })}, {a("last_failure", { ago: ago(one.last_at) })}</span>
                </li>
              ))}
            </ul>
            {!!known.stays.length && (
              <>
                <p>{a(known.login ? "forgive_stays_networks" : "forgive_stays_logins")}</p>
                <ul class="lines">{known.stays.map((one) => <li key={`${one.network} ${one.login}`}><span>{one.network || one.login}</span> <Kept of={one} /></li>)}</ul>
              </>
            )}
            {!nothing && <p class="hint">{a("forgive_hint")}</p>}
          </>
        )}
      </Loading>
    </FormDialog>
  );
}

/** Who has tried to sign in, newest first. */
function Record(props: { about: string }) {
  const [text, setText] = useState(props.about);
  const [failed, setFailed] = useState(false);
  const [rows, setRows] = useState<SignInLine[] | null>(null);
  const [more, setMore] = useState(false);
  const [problem, setProblem] = useState("");
  const load = async (before: number) => {
    try {
      const found = await get<SignInLine[]>("/logins", { about: props.about, before, limit: AT_ONCE, failed });
      setRows((known) => [...(before ? (known ?? []) : []), ...found]);
      setMore(found.length === AT_ONCE);
      setProblem("");
    } catch (error) {
      setProblem(words(error));
    }
  };
  const first = (rows?.length ?? 0) <= AT_ONCE; // further pages stay as they are
  useEffect(() => void load(0), [failed]);
  useEffect(() => {
    if (!first) return;
    const timer = window.setInterval(() => document.hidden || void load(0), EVERY_S * 1000);
    return () => clearInterval(timer);
  }, [failed, first]);
  return (
    <section class="card">
      <div class="card-head">
        <h2>{a("attempts")}</h2>
        <Search label={a("logins_search")} value={text} change={setText} submit={() => (text.trim() ? go("logins", text.trim()) : go("logins"))} />
      </div>
      <div class="card-head">
        <Check label={a("only_failures")} checked={failed} change={setFailed} />
        {props.about && <button type="button" class="link" onClick={() => go("logins")}>{a("show_all")}</button>}
      </div>
      {problem && <p class="banner bad" role="alert">{problem}</p>}
      {rows === null ? !problem && <div class="reader-wait"><Spinner /></div> : (
        <Table label={a("attempts")} rows={rows} key_={(one) => String(one.entry)} empty={<p>{props.about || failed ? a("nothing_found") : a("attempts_none")}</p>} columns={[
          { title: a("when"), of: (one) => moment(one.last_at) },
          { title: a("login"), of: (one) => one.login ? (
            one.outcome === "unknown_login" ? one.login : <a href={hash("accounts", one.login)}>{one.login}</a>
          ) : <span class="muted">{a("login_not_ours")}</span> },
          { title: a("from"), of: (one) => <>{one.address || a("many_networks")} <span class="hint block">{named("protocol", one.protocol)}</span></> },
          { title: a("outcome"), of: (one) => <Badge kind={KINDS[one.outcome] ?? "warn"}>{named("attempt", one.outcome)}</Badge> },
          { title: a("times"), of: (one) => number(one.attempts), end: true },
        ]} />
      )}
      {more && <button type="button" class="button more" onClick={() => void load(rows?.at(-1)?.entry ?? 0)}>{a("more")}</button>}
      <p class="hint">{a("logins_privacy")}</p>
    </section>
  );
}

const KINDS: Record<string, "good" | "bad" | "warn" | "quiet"> = { ok: "good", needs_code: "quiet", turned_away: "bad" };

function LimitsHere() {
  const limits = useLoad(() => get<Limits>("/server/limits"), "limits", 60);
  return (
    <section class="card">
      <h2>{a("limits")}</h2>
      <p class="muted">{a("limits_lead")}</p>
      <Loading of={limits}>
        {(found) => (
          <>
            <Table label={a("limits")} rows={found.limits} key_={(one) => one.setting} empty={null} columns={[
              { title: a("limit"), of: (one) => (
                <>
                  {named("limit", one.setting)}
                  <a class="hint block" href={hash("settings", one.setting)}><code>{one.setting}</code></a>
                </>
              ) },
              { title: a("value"), of: (one) => <>{shown(one)} {one.changed && <Badge kind="quiet">{a("changed")}</Badge>}</> },
              { title: a("in_use"), of: (one) => <Use of={one} /> },
            ]} />
            <h3>{a("connections")}</h3>
            <Table label={a("connections")} rows={found.connections} key_={(one) => one.protocol} empty={<p class="muted">{a("connections_none")}</p>} columns={[
              { title: a("protocol"), of: (one) => named("protocol", one.protocol) },
              { title: a("a_minute_ago"), of: (one) => number(one.open), end: true },
              { title: a("peak"), of: (one) => number(one.peak), end: true },
            ]} />
            <h3>{a("quotas_full")}</h3>
            <Table label={a("quotas_full")} rows={found.full} key_={(one) => one.login} href={(one) => hash("accounts", one.login)} empty={<p class="muted">{a("quotas_fine")}</p>} columns={[
              { title: a("account"), of: (one) => one.login },
              { title: a("used"), of: (one) => <Bar used={one.used} of={one.quota} label={one.login} text={a("used_of", { used: size(one.used), quota: size(one.quota) })} /> },
            ]} />
            {found.full_number > found.full.length && <p class="muted">{a("quotas_more", { n: found.full_number - found.full.length })}</p>}
          </>
        )}
      </Loading>
    </section>
  );
}

function shown(one: Limit): string {
  if (one.unit === "octets") return size(one.value);
  if (one.unit === "seconds") return span(one.value * 1000);
  return one.value || !UNBOUNDED.has(one.setting) ? number(one.value) : a("no_limit");
}

const UNBOUNDED = new Set(["queue.rate"]); // where 0 is none

function Use(props: { of: Limit }) {
  const one = props.of;
  if (one.used === null || one.of === null) return <span class="muted">–</span>;
  return <Bar used={one.used} of={one.of} label={named("limit", one.setting)} text={a("used_of", { used: number(one.used), quota: number(one.of) })} />;
}

function Bar(props: { used: number; of: number; label: string; text: string }) {
  const part = props.of ? Math.min(1, props.used / props.of) : 1;
  return (
    <span class={part > 0.9 ? "use full" : "use"}>
      <progress max={1} value={part} aria-label={props.label} />
      <span>{props.text}</span>
    </span>
  );
}
