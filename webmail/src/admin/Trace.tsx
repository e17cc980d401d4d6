import { useState } from "preact/hooks";
import { size } from "../i18n";
import { ApiProblem, get, type Story } from "./api";
import { Badge, Facts, Head, Loading, Search } from "./parts";
import { go, hash, useLoad } from "./state";
import { a, moment, named, yesNo } from "./text";

const GOOD = new Set(["delivered", "relayed"]);
const ENDED = new Set(["failed", "bounced", "expired", "dropped"]);
const MOMENTS = new Set(["next_try", "at_the_latest"]);

export function Trace(props: { about: string }) {
  const [text, setText] = useState(props.about);
  return (
    <>
      <Head title={a("trace")} lead={a("trace_lead")}>
        <Search label={a("trace_search")} value={text} change={setText} submit={() => text.trim() && go("trace", text.trim())} />
      </Head>
      {props.about ? <Found about={props.about} /> : <p class="empty">{a("trace_begin")}</p>}
    </>
  );
}

function Found(props: { about: string }) {
  const stories = useLoad(() => get<Story[]>("/traces", { about: props.about, limit: 50 }).catch(nothing), props.about);
  return (
    <Loading of={stories}>
      {(found) => found.length ? (
        <>{found.map((one) => <StoryCard of={one} open={found.length === 1} key={one.id} />)}</>
      ) : <p class="empty">{a("trace_none", { about: props.about })}</p>}
    </Loading>
  );
}

/** That there is none is no fault. */
function nothing(error: unknown): Story[] {
  if (error instanceof ApiProblem && error.status === 404) return [];
  throw error;
}

function StoryCard(props: { of: Story; open: boolean }) {
  const one = props.of;
  const end = endOf(one);
  const id = <code>{one.id}</code>;
  return (
    <details class="card story" open={props.open}>
      <summary>
        <span><strong>{one.reverse_path || a("null_sender")}</strong> → {one.forward_paths.join(", ")}</span>
        <span class="story-state">{end && <Badge kind={BADGES[end]}>{a(`story_${end}`)}</Badge>} <span class="muted">{moment(one.at)}</span></span>
      </summary>
      <Facts of={[
        [a("message"), end === "waiting" ? <a href={hash("queue", one.id)}>{id}</a> : id], ["Message-ID", one.message_id],
        ...Object.entries(one.facts).map(([name, value]): [string, string] => [named("fact", name), said(name, value)]),
      ]} />
      <ol class="events">
        <li><time>{moment(one.at)}</time> <strong>{a("event_accepted")}</strong></li>
        {listOf(one.facts.placed).map((to) => (
          <li key={String(to.to)}><time>{moment(one.at)}</time> <strong>{a("event_delivered")}</strong> <span class="muted">{[String(to.to), to.rules ? `${named("fact", "rules")}: ${said("rules", to.rules)}` : ""].filter(Boolean).join(", ")}</span></li>
        ))}
        {one.events.map((event, n) => (
          <li key={n}>
            <time>{moment(event.at)}</time> <strong>{named("event", event.kind)}</strong>{" "}
            <span class="muted">{Object.entries(event.facts).map(([name, value]) => `${named("fact", name)}: ${said(name, value)}`).join(", ")}</span>
          </li>
        ))}
      </ol>
    </details>
  );
}

/** What has become of it in the end: the worst of its recipients; "" where nothing is known. */
function endOf(story: Story): "ended" | "waiting" | "gone" | "" {
  const last = new Map<string, string>();
  for (const [fact, kind] of [["placed", "delivered"], ["queued", "waiting"]] as const) {
    for (const one of listOf(story.facts[fact])) last.set(String(one.to), kind);
  }
  for (const event of story.events) {
    if (GOOD.has(event.kind) || ENDED.has(event.kind)) last.set(String(event.facts.to), event.kind);
  }
  const kinds = [...last.values()];
  if (kinds.some((kind) => ENDED.has(kind))) return "ended";
  if (kinds.some((kind) => !GOOD.has(kind))) return "waiting";
  return kinds.length ? "gone" : "";
}

const BADGES = { ended: "bad", waiting: "warn", gone: "good" } as const;

function listOf(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? (value as Record<string, unknown>[]) : [];
}

/** A fact as a person reads it. */
export function said(name: string, value: unknown): string {
  if (name === "placed") return listOf(value).map((one) => String(one.to)).join(", ");
  if (name === "rules") return listOf(value).map((one) => String(one.name ?? a("rules_failed"))).join(", ");
  if (name === "queued") return listOf(value).map((one) => (one.via ? `${one.to} → ${one.via}` : String(one.to))).join(", ");
  if (name === "route" && value && typeof value === "object") return Object.values(value).flat().join("; ");
  if ((name === "size" || name === "quota") && typeof value === "number") return size(value);
  if (typeof value === "number" && MOMENTS.has(name)) return moment(value);
  if (Array.isArray(value)) return value.map((one) => said("", one)).join("; ");
  if (value && typeof value === "object") return Object.entries(value).map(([key, inner]) => `${named("fact", key)}: ${said(key, inner)}`).join(", ");
  if (typeof value === "boolean") return yesNo(value);
  return String(value ?? "");
}
