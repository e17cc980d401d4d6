import { useEffect, useState } from "preact/hooks";
import { Spinner } from "../views/common";
import { get, type Act } from "./api";
import { Head, Search, Table } from "./parts";
import { go, hash, words } from "./state";
import { a, moment, named } from "./text";
import { said } from "./Trace";

const AT_ONCE = 100;

/** "admin: yes; quota: 500": what was wanted, as a person reads it. */
function factsOf(facts: Record<string, unknown>): string {
  const { wanted, ...others } = facts;
  const all = { ...(wanted && typeof wanted === "object" ? wanted : {}), ...others };
  return Object.entries(all).map(([name, value]) => `${name === "who" ? a("who") : named("fact", name)}: ${said(name, value)}`).join("; ");
}

export function Audit(props: { about: string }) {
  const [text, setText] = useState(props.about);
  const [rows, setRows] = useState<Act[] | null>(null);
  const [more, setMore] = useState(false);
  const [problem, setProblem] = useState("");
  const load = async (before: number) => {
    try {
      const found = await get<Act[]>("/audit", { about: props.about, before, limit: AT_ONCE });
      setRows((known) => [...(before ? (known ?? []) : []), ...found]);
      setMore(found.length === AT_ONCE);
    } catch (error) {
      setProblem(words(error));
    }
  };
  useEffect(() => void load(0), [props.about]);
  return (
    <>
      <Head title={a("audit")} lead={a("audit_lead")}>
        <Search label={a("audit_search")} value={text} change={setText} submit={() => (location.hash = text.trim() ? hash("audit", text.trim()) : hash("audit"))} />
      </Head>
      {props.about && <p><button type="button" class="link" onClick={() => go("audit")}>{a("show_all")}</button></p>}
      {problem && <p class="banner bad" role="alert">{problem}</p>}
      {rows === null ? !problem && <div class="reader-wait"><Spinner /></div> : (
        <Table label={a("audit")} rows={rows} key_={(one) => String(one.id)} empty={<p>{props.about ? a("nothing_found") : a("audit_none")}</p>} columns={[
          { title: a("when"), of: (one) => moment(one.at) },
          { title: a("who"), of: (one) => <>{one.who} <span class="hint block">{named("via", one.via)}</span></> },
          { title: a("act"), of: (one) => named("act", one.act) },
          { title: a("subject"), of: (one) => one.subject || "–" },
          { title: a("facts"), of: (one) => <span class="words">{factsOf(one.facts) || "–"}</span> },
        ]} />
      )}
      {more && <button type="button" class="button more" onClick={() => void load(rows?.at(-1)?.id ?? 0)}>{a("more")}</button>}
    </>
  );
}
