import { useState } from "preact/hooks";
import { size } from "../i18n";
import { Field, Icon } from "../views/common";
import { at, call, get, type Destination, type Line, type Outcome, type Overview, type Page, type Preview, type Queued, type QueuedStory, type Waiting } from "./api";
import { Badge, Facts, FormDialog, Head, Loading, Search, Stat, Table } from "./parts";
import { act, go, hash, useLoad } from "./state";
import { a, ago, moment, named } from "./text";

type Verb = "hold" | "release" | "retry" | "reroute" | "expire" | "bounce" | "drop";
type Meant = { ids?: string[]; destination?: string; sender?: string; recipient?: string; all?: boolean };
const VERBS: Verb[] = ["retry", "hold", "release", "reroute", "bounce", "expire", "drop"];
const ENDS: Verb[] = ["bounce", "expire", "drop"];

/** "down 40 min; next try 11:20": what stands in the way of a destination, and until when. */
export function forecast(line: Line | null, next: number | null): string {
  if (line?.held) return a("line_held");
  if (line?.down_since) {
    return next ? a("line_down", { since: ago(line.down_since), next: moment(next) }) : a("line_probing", { since: ago(line.down_since) });
  }
  return next ? a("next_try", { when: moment(next) }) : a("under_way");
}

export function QueuePage() {
  const [about, setAbout] = useState("");
  const [asked, setAsked] = useState("");
  const overview = useLoad(() => get<Overview>("/queue"), "queue", 10);
  const destinations = useLoad(() => get<{ destinations: Destination[]; number: number }>("/queue/destinations", { limit: 200 }), "destinations", 10);
  const page = useLoad(() => get<Page>("/queue/messages", { about: asked, limit: 200 }), `messages ${asked}`, 15);
  const [order, setOrder] = useState<{ verb: Verb; meant: Meant } | null>(null);
  const again = () => {
    overview.again();
    destinations.again();
    page.again();
  };
  return (
    <>
      <Head title={a("queue")} lead={a("queue_lead")}>
        <span class="acts-for">{a("all_mail")}:</span>
        <Verbs verbs={VERBS} run={(verb) => setOrder({ verb, meant: { all: true } })} label={a("all_mail")} />
      </Head>
      <Loading of={overview}>
        {(found) => (
          <div class="stats">
            <Stat label={a("messages_waiting")} value={found.messages} />
            <Stat label={a("in_hand")} value={found.in_hand} />
            <Stat label={a("in_line")} value={found.in_line} bad={found.in_line > 0} />
            <Stat label={a("held")} value={found.held} />
            <Stat label={a("isolated")} value={found.isolated} bad={found.isolated > 0} />
          </div>
        )}
      </Loading>
      <section class="card">
        <h2>{a("destinations")}</h2>
        <Loading of={destinations}>
          {(found) => (
            <Table label={a("destinations")} rows={found.destinations} key_={(one) => one.line?.key ?? one.name} empty={<p class="muted">{a("queue_empty")}</p>} columns={[
              { title: a("destination"), of: (one) => (
                <>
                  {one.name}
                  {one.line && <span class="hint block">{one.line.hosts.join(", ")}</span>}
                </>
              ) },
              { title: a("waiting"), of: (one) => one.recipients, end: true },
              { title: a("state"), of: (one) => (
                <>
                  <Badge kind={one.line?.held ? "quiet" : one.line?.down_since ? "bad" : "good"}>
                    {one.line?.held ? a("held") : one.line?.down_since ? a("down") : a("open")}
                  </Badge>
                  <span class="hint block">{forecast(one.line, one.next_try_at)}</span>
                  {one.line?.words && <span class="hint block words">{one.line.words}</span>}
                </>
              ) },
              { title: "", of: (one) => (
                <Verbs verbs={one.line?.held ? ["release"] : ["retry", "hold", "reroute", "bounce"]} label={one.name} run={(verb) => setOrder({ verb, meant: { destination: one.line?.key ?? one.name } })} />
              ), end: true },
            ]} />
          )}
        </Loading>
      </section>
      <section class="card">
        <div class="card-head">
          <h2>{a("messages")}</h2>
          <Search label={a("queue_search")} value={about} change={(text) => { setAbout(text); if (!text) setAsked(""); }} submit={() => setAsked(about.trim())} />
        </div>
        <Loading of={page}>
          {(found) => (
            <>
              <Table label={a("messages")} rows={found.messages} key_={(one) => one.id} href={(one) => hash("queue", one.id)} empty={<p class="muted">{asked ? a("nothing_found") : a("queue_empty")}</p>} columns={[
                { title: a("message"), of: (one) => <code>{one.id}</code> },
                { title: a("from"), of: (one) => one.reverse_path || a("null_sender") },
                { title: a("to"), of: (one) => <span class="words">{one.recipients.map((to) => to.address).join(", ")}</span> },
                { title: a("since_when"), of: (one) => ago(one.accepted_at) },
                { title: a("state"), of: (one) => <State of={one} /> },
              ]} />
              {found.messages_in_all > found.messages.length && <p class="muted">{a("shown_of", { shown: found.messages.length, n: found.messages_in_all })}</p>}
            </>
          )}
        </Loading>
      </section>
      {order && <Order verb={order.verb} meant={order.meant} close={() => setOrder(null)} done={() => { setOrder(null); again(); }} />}
    </>
  );
}

function State(props: { of: Queued }) {
  const first = props.of.recipients[0];
  if (props.of.held) return <Badge kind="warn">{named("state", props.of.held)}</Badge>;
  if (!first) return <>–</>;
  return <span class="hint">{forecast(first.line, first.due_at)}</span>;
}

function Verbs(props: { verbs: Verb[]; run: (verb: Verb) => void; label: string }) {
  return (
    <span class="row-acts" role="group" aria-label={props.label}>
      {props.verbs.map((verb) => (
        <button type="button" key={verb} class={ENDS.includes(verb) ? "link danger" : "link"} onClick={() => props.run(verb)}>{a(`verb_${verb}`)}</button>
      ))}
    </span>
  );
}

/** First what a verb will do, then doing it. */
function Order(props: { verb: Verb; meant: Meant; close: () => void; done: () => void }) {
  const [via, setVia] = useState("");
  const [text, setText] = useState("");
  const body = (dry: boolean) => ({
    verb: props.verb, ...props.meant, dry_run: dry, ...(props.verb === "reroute" ? { via: via.trim() } : {}), ...(props.verb === "bounce" ? { words: text.trim() } : {}),
  });
  const preview = useLoad(() => call<Outcome>("POST", "/queue/orders", body(true)), `${props.verb} ${JSON.stringify(props.meant)}`);
  const found = preview.value?.preview;
  return (
    <FormDialog
      wide title={a(`verb_${props.verb}`)} yes={a(`verb_${props.verb}`)} danger={ENDS.includes(props.verb)} close={props.close}
      disabled={!found || !(found.recipients || found.destination)}
      save={async () => {
        const outcome = await call<Outcome>("POST", "/queue/orders", body(false));
        await act(async () => outcome, a("order_done", { n: outcome.done?.recipients ?? 0 }));
        props.done();
      }}
    >
      <p>{a(`verb_${props.verb}_text`)}</p>
      <Loading of={preview}>{(value) => <PreviewText of={value.preview} />}</Loading>
      {props.verb === "reroute" && (
        <Field label={a("via")} hint={a("via_hint")}>
          {(id) => <input id={id} value={via} placeholder="backup.example.net" onInput={(event) => setVia(event.currentTarget.value)} />}
        </Field>
      )}
      {props.verb === "bounce" && (
        <Field label={a("bounce_words")} hint={a("bounce_words_hint")}>
          {(id) => <textarea id={id} rows={3} maxLength={500} value={text} onInput={(event) => setText(event.currentTarget.value)} />}
        </Field>
      )}
    </FormDialog>
  );
}

function PreviewText(props: { of: Preview }) {
  const found = props.of;
  return (
    <>
      <Facts of={[
        [a("meant"), found.destination ? a("whole_destination", { name: found.destination }) : found.what || a("all_mail")],
        [a("recipients"), found.recipients], [a("messages"), found.messages], [a("size"), size(found.octets)],
        [a("oldest"), found.oldest ? ago(found.oldest) : null], [a("left_alone"), found.in_hand || null],
        [a("reports"), found.reports ? a("reports_to", { n: found.reports, names: found.senders.map((one) => one.address).join(", ") }) : null],
      ]} />
      {!found.recipients && !found.destination && <p class="banner warn">{a("nothing_to_do")}</p>}
      {found.sample.length > 0 && (
        <Table label={a("sample")} rows={found.sample} key_={(one) => `${one.id} ${one.recipient}`} empty={null} columns={[
          { title: a("from"), of: (one) => one.sender || a("null_sender") }, { title: a("to"), of: (one) => one.recipient },
          { title: a("last_words"), of: (one) => <span class="hint words">{one.words || a("not_tried")}</span> },
        ]} />
      )}
    </>
  );
}

export function QueuedPage(props: { id: string }) {
  const story = useLoad(() => get<QueuedStory>(at("queue", "messages", props.id)), props.id, 10);
  const [verb, setVerb] = useState<Verb | null>(null);
  return (
    <>
      <p class="crumbs"><a href={hash("queue")}>{a("queue")}</a></p>
      <Head title={props.id}>
        <a class="button quiet" href={hash("trace", props.id)}><Icon name="search" /> {a("trace")}</a>
        {story.value && <Verbs verbs={story.value.message.held ? ["release", "bounce", "drop"] : ["retry", "hold", "reroute", "bounce", "expire", "drop"]} run={setVerb} label={props.id} />}
      </Head>
      <Loading of={story}>
        {(found) => (
          <>
            <section class="card">
              <Facts of={[
                [a("from"), found.message.reverse_path || a("null_sender")], [a("size"), size(found.message.size)],
                [a("accepted_at"), `${moment(found.message.accepted_at)} (${ago(found.message.accepted_at)})`],
                [a("state"), found.message.held ? named("state", found.message.held) : null],
              ]} />
            </section>
            <section class="card">
              <h2>{a("recipients")}</h2>
              <Table label={a("recipients")} rows={found.message.recipients} key_={(one: Waiting) => one.address} empty={null} columns={[
                { title: a("to"), of: (one) => one.address },
                { title: a("state"), of: (one) => (
                  <>
                    <Badge kind={one.state === "waiting" || one.state === "in-hand" ? "good" : "warn"}>{named("state", one.state)}</Badge>
                    <span class="hint block">{one.state === "held" ? a("line_held") : forecast(one.line, one.due_at)}</span>
                    <span class="hint block">{a("gives_up", { when: moment(one.gives_up_at) })}</span>
                  </>
                ) },
                { title: a("last_words"), of: (one) => <span class="words">{one.status || a("not_tried")}</span> },
                { title: a("tries"), of: (one) => one.attempts, end: true },
              ]} />
            </section>
            <section class="card">
              <h2>{a("tries")}</h2>
              <Table label={a("tries")} rows={[...found.attempts].reverse()} key_={(one) => `${one.at} ${one.address}`} empty={<p class="muted">{a("not_tried")}</p>} columns={[
                { title: a("when"), of: (one) => moment(one.at) }, { title: a("to"), of: (one) => one.address },
                { title: a("outcome"), of: (one) => named("event", one.outcome) }, { title: a("last_words"), of: (one) => <span class="words">{one.status}</span> },
              ]} />
            </section>
          </>
        )}
      </Loading>
      {verb && <Order verb={verb} meant={{ ids: [props.id] }} close={() => setVerb(null)} done={() => {
        setVerb(null);
        if (ENDS.includes(verb)) go("queue");
        else story.again();
      }} />}
    </>
  );
}
