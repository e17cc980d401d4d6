import { useState } from "preact/hooks";
import { Check, Field, Icon } from "../views/common";
import { ask, say } from "../state/app";
import { at, call, get, type Checked, type Domain } from "./api";
import { Badge, type Change, CopyText, FormDialog, Head, Loading, Review, Table } from "./parts";
import { act, go, hash, useLoad } from "./state";
import { a, named, yesNo } from "./text";

const VERDICT = { right: "good", other: "warn", missing: "bad", unknown: "quiet" } as const;

export function Domains() {
  const domains = useLoad(() => get<Domain[]>("/domains"), "domains");
  const [adding, setAdding] = useState(false);
  return (
    <>
      <Head title={a("domains")} lead={a("domains_lead")}>
        <button type="button" class="button primary" onClick={() => setAdding(true)}><Icon name="plus" /> {a("domain_add")}</button>
      </Head>
      <Loading of={domains}>
        {(found) => (
          <Table
            label={a("domains")} rows={found} key_={(one) => one.name} href={(one) => hash("domains", one.name)}
            empty={<p>{a("domains_none")}</p>}
            columns={[
              { title: a("domain"), of: (one) => one.unicode },
              { title: a("accounts"), of: (one) => one.accounts, end: true },
              { title: a("aliases"), of: (one) => one.aliases, end: true },
              { title: a("groups"), of: (one) => one.groups, end: true },
              { title: a("catch_all"), of: (one) => one.catch_all.join(", ") || "–" },
              { title: a("state"), of: (one) => <Badge kind={one.enabled ? "good" : "quiet"}>{one.enabled ? a("enabled") : a("disabled")}</Badge> },
            ]}
          />
        )}
      </Loading>
      {adding && <AddDomain close={() => setAdding(false)} />}
    </>
  );
}

function AddDomain(props: { close: () => void }) {
  const [name, setName] = useState("");
  return (
    <FormDialog title={a("domain_add")} yes={a("add")} close={props.close} save={async () => {
      const made = await call<Domain>("POST", "/domains", { name: name.trim() });
      props.close();
      go("domains", made.name);
    }}>
      <p class="muted">{a("domain_add_text")}</p>
      <Field label={a("domain")}>
        {(id) => <input id={id} value={name} required autofocus placeholder="example.org" spellcheck={false} autocapitalize="off" onInput={(event) => setName(event.currentTarget.value)} />}
      </Field>
    </FormDialog>
  );
}

export function DomainPage(props: { name: string }) {
  const domain = useLoad(() => get<Domain>(at("domains", props.name)), props.name);
  return (
    <>
      <p class="crumbs"><a href={hash("domains")}>{a("domains")}</a></p>
      {domain.problem && !domain.value && <Head title={props.name} />}
      <Loading of={domain}>
        {(found) => (
          <>
            <Head title={found.unicode} lead={a("domain_counts", { accounts: found.accounts, aliases: found.aliases, groups: found.groups })}>
              <button type="button" class="button danger" onClick={() => void remove(found)}>{a("remove")}</button>
            </Head>
            <Records name={found.name} />
            <Properties domain={found} saved={domain.set} key={JSON.stringify(found)} />
          </>
        )}
      </Loading>
    </>
  );
}

async function remove(domain: Domain): Promise<void> {
  const sure = await ask({ title: a("domain_remove"), text: a("domain_remove_text", { name: domain.unicode }), yes: a("remove"), danger: true });
  if (sure === null) return;
  if (await act(() => call("DELETE", at("domains", domain.name)), a("removed", { name: domain.unicode }))) go("domains");
}

/** What a record is for, in the language of who reads it where that is one we know. */
function purposeOf(one: Checked): string {
  const service = /^_(imap|pop3|submission|dmarc)/.exec(one.name)?.[1] as "imap" | "pop3" | "submission" | "dmarc" | undefined;
  const kind = service ?? (one.kind === "MX" ? "mx" : one.value.startsWith('"v=spf1') ? "spf" : null);
  return kind ? a(`purpose_${kind}`) : one.purpose;
}

/** The records to publish, each with what stands there now. */
export function Records(props: { name: string }) {
  const [fresh, setFresh] = useState(0);
  const records = useLoad(() => get<Checked[]>(at("domains", props.name, "dns"), { fresh: fresh > 0 }), `${props.name} ${fresh}`);
  return (
    <section class="card">
      <div class="card-head">
        <h2>{a("dns_of", { domain: props.name })}</h2>
        <button type="button" class="button quiet" onClick={() => setFresh((n) => n + 1)}><Icon name="refresh" /> {a("look_again")}</button>
      </div>
      <p class="muted">{a("dns_lead")}</p>
      <Loading of={records}>
        {(found) => (
          <Table label={`${a("dns")}: ${props.name}`} rows={found} key_={(one) => `${one.name} ${one.kind} ${one.value}`} empty={null} columns={[
            { title: a("record"), of: (one) => (
              <>
                <code class="record">{one.name} {one.kind} {one.value}</code> <CopyText text={`${one.name} ${one.kind} ${one.value}`} label={one.name} />
                <span class="hint block">{purposeOf(one)}</span>
                {one.verdict === "other" && <span class="hint block">{a("dns_found", { found: one.found })}</span>}
              </>
            ) },
            { title: a("state"), of: (one) => <Badge kind={one.verdict === "missing" && !one.needed ? "warn" : VERDICT[one.verdict]}>{named("verdict", one.verdict)}</Badge>, end: true },
          ]} />
        )}
      </Loading>
    </section>
  );
}

function Properties(props: { domain: Domain; saved: (domain: Domain) => void }) {
  const one = props.domain;
  const [enabled, setEnabled] = useState(one.enabled);
  const [separator, setSeparator] = useState(one.separator);
  const [catchAll, setCatchAll] = useState(one.catch_all[0] ?? "");
  const [split, setSplit] = useState(one.split);
  const [hop, setHop] = useState(one.next_hop ?? "");
  const [reviewing, setReviewing] = useState(false);
  const catcher = catchAll.trim();
  const save = async () => {
    const change = {
      ...(enabled !== one.enabled ? { enabled } : {}), ...(separator !== one.separator ? { separator } : {}),
      ...(catcher !== (one.catch_all[0] ?? "") ? { catch_all: catcher } : {}), ...(split !== one.split ? { split } : {}),
      ...(hop.trim() !== (one.next_hop ?? "") ? { next_hop: hop.trim() } : {}),
    };
    props.saved(await call<Domain>("PATCH", at("domains", one.name), change));
    say(a("saved"));
  };
  const domain = one.unicode;
  const all: Change[] = [
    {
      name: a("domain_enabled"), from: yesNo(one.enabled), to: yesNo(enabled),
      effect: a(enabled ? "effect_domain_on" : "effect_domain_off", { n: one.accounts + one.aliases + one.groups }),
    },
    {
      name: a("catch_all"), from: one.catch_all[0] ?? a("nobody"), to: catcher || a("nobody"),
      effect: a(catcher ? "effect_catch_all" : "effect_catch_all_off", { domain }),
    },
    {
      name: a("separator"), from: one.separator, to: separator,
      effect: a(separator ? "effect_separator" : "effect_separator_off", { separator, domain }),
    },
    { name: a("split"), from: yesNo(one.split), to: yesNo(split), effect: split ? a("split_hint") : a("effect_catch_all_off", { domain }) },
    { name: a("next_hop"), from: one.next_hop ?? "", to: hop.trim(), effect: a("next_hop_hint") },
  ];
  return (
    <>
      {reviewing && <Review all={all} save={save} close={() => setReviewing(false)} />}
      <form class="card" onSubmit={(event) => { event.preventDefault(); setReviewing(true); }}>
        <h2>{a("properties")}</h2>
        <Check label={a("domain_enabled")} hint={a("domain_enabled_hint")} checked={enabled} change={setEnabled} />
        <Field label={a("catch_all")} hint={a("catch_all_hint")}>
          {(id) => <input id={id} value={catchAll} placeholder={a("nobody")} onInput={(event) => setCatchAll(event.currentTarget.value)} />}
        </Field>
        <Field label={a("separator")} hint={a("separator_hint", { domain: one.unicode })}>
          {(id) => <input id={id} class="short" maxLength={1} value={separator} onInput={(event) => setSeparator(event.currentTarget.value)} />}
        </Field>
        <Check label={a("split")} hint={a("split_hint")} checked={split} change={setSplit} />
        <Field label={a("next_hop")} hint={a("next_hop_hint")}>
          {(id) => <input id={id} value={hop} placeholder="smtp://old.example.org" onInput={(event) => setHop(event.currentTarget.value)} />}
        </Field>
        <footer><span class="gap" /><button type="submit" class="button primary">{a("save")}</button></footer>
      </form>
    </>
  );
}
