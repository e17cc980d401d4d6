import { useState } from "preact/hooks";
import { Icon } from "../views/common";
import { get, type Health, type Minute, type Overview as Queue } from "./api";
import { Chart, Head, Loading, Stat } from "./parts";
import { hash, useLoad } from "./state";
import { a, ago, moment } from "./text";

const SPANS: [number, "span_hour" | "span_day" | "span_week"][] = [[60, "span_hour"], [1_440, "span_day"], [10_080, "span_week"]];
const POINTS = 120; // of a curve

/** Minutes summed so that a curve has no more than POINTS points; means are weighed by what was accepted. */
function condensed(minutes: Minute[]): Minute[] {
  const each = Math.ceil(minutes.length / POINTS);
  const found: Minute[] = [];
  for (let n = 0; n < minutes.length; n += each) {
    const part = minutes.slice(n, n + each);
    const sum = (of: (one: Minute) => number) => part.reduce((all, one) => all + of(one), 0);
    const weighed = sum((one) => one.accepted_us * Math.max(one.accepted, 1));
    const weights = sum((one) => (one.accepted_us ? Math.max(one.accepted, 1) : 0));
    found.push({
      at: part[0]!.at, accepted: sum((one) => one.accepted), delivered: sum((one) => one.delivered), relayed: sum((one) => one.relayed),
      deferred: sum((one) => one.deferred), failed: sum((one) => one.failed), refused: sum((one) => one.refused), logins: sum((one) => one.logins),
      failed_logins: sum((one) => one.failed_logins), accepted_us: weights ? weighed / weights : 0,
    });
  }
  return found;
}

/** Without figures they have their places already. */
function Stats(props: { of: Queue | null }) {
  const found = props.of;
  const to = hash("queue");
  return (
    <div class="stats">
      <Stat label={a("messages_waiting")} value={found?.messages ?? "–"} href={to} />
      <Stat label={a("in_hand")} value={found?.in_hand ?? "–"} href={to} />
      <Stat label={a("in_line")} value={found?.in_line ?? "–"} href={to} bad={(found?.in_line ?? 0) > 0} />
      <Stat label={a("held")} value={found?.held ?? "–"} href={to} />
      <Stat label={a("oldest")} value={found?.oldest ? ago(found.oldest) : "–"} href={to} />
    </div>
  );
}

export function Overview() {
  const [span, setSpan] = useState(60);
  const queue = useLoad(() => get<Queue>("/queue"), "queue", 15);
  const health = useLoad(() => get<Health>("/server/health"), "health", 300);
  const activity = useLoad(() => get<Minute[]>("/server/activity", { minutes: span }), `activity ${span}`, 30);
  const settled = queue.value !== null || queue.problem !== ""; // what stands below comes after it: nothing is pushed down
  const errors = health.value?.complaints.filter((one) => one.severity === "error").length ?? 0;
  const warnings = health.value?.complaints.filter((one) => one.severity === "warning").length ?? 0;
  return (
    <>
      <Head title={a("overview")}>
        <div class="choice-row" role="group" aria-label={a("span")}>
          {SPANS.map(([minutes, text]) => (
            <label key={minutes} class={minutes === span ? "on" : ""}>
              <input type="radio" class="sr-only" name="span" checked={minutes === span} onChange={() => setSpan(minutes)} /> {a(text)}
            </label>
          ))}
        </div>
      </Head>
      <a class={`banner ${errors ? "bad" : warnings ? "warn" : "fine"}`} href={hash("health")}>
        <Icon name={errors || warnings ? "help" : "check"} />
        <span>
          {health.value === null ? a("health_looking") : errors ? a("health_errors", { n: errors }) : warnings ? a("health_warnings", { n: warnings }) : a("health_fine")}
        </span>
        <Icon name="chevron" />
      </a>
      {!settled && <Stats of={null} />}
      {settled && <Loading of={queue}>
        {(found) => (
          <>
            <Stats of={found} />
            {found.alerts.map((alert) => (
              <div class="banner warn" key={`${alert.kind} ${alert.subject}`}>
                <Icon name="bell" />
                <span><strong>{alert.words}</strong> {alert.remedy} <span class="muted">{a("since", { when: moment(alert.began_at) })}</span></span>
              </div>
            ))}
          </>
        )}
      </Loading>}
      {settled && <Loading of={activity}>
        {(minutes) => {
          const points = condensed(minutes);
          const times = points.map((one) => one.at);
          const of = (pick: (one: Minute) => number) => points.map(pick);
          return (
            <div class="charts">
              <Chart title={a("chart_mail")} times={times} time={moment} series={[
                { name: a("accepted"), kind: "accent", values: of((one) => one.accepted) },
                { name: a("delivered"), kind: "good", values: of((one) => one.delivered + one.relayed) },
              ]} />
              <Chart title={a("chart_trouble")} times={times} time={moment} series={[
                { name: a("deferred"), kind: "warn", values: of((one) => one.deferred) },
                { name: a("failed"), kind: "bad", values: of((one) => one.failed) },
                { name: a("refused"), kind: "accent", values: of((one) => one.refused) },
              ]} />
              <Chart title={a("chart_latency")} times={times} time={moment} show={(us) => `${(us / 1000).toFixed(1)} ms`} series={[
                { name: a("latency"), kind: "accent", values: of((one) => one.accepted_us) },
              ]} />
              <Chart title={a("chart_logins")} times={times} time={moment} series={[
                { name: a("logins"), kind: "good", values: of((one) => one.logins) },
                { name: a("failed_logins"), kind: "bad", values: of((one) => one.failed_logins) },
              ]} />
            </div>
          );
        }}
      </Loading>}
    </>
  );
}
