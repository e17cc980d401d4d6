import { Icon } from "../views/common";
import { get, type Health } from "./api";
import { Badge, CopyText, Head, Loading } from "./parts";
import { hash, useLoad } from "./state";
import { a, moment, named } from "./text";

const PUBLISH = "publish: "; // before a record as it is to be copied
const KIND = { error: "bad", warning: "warn", note: "quiet" } as const;

export function HealthPage() {
  const health = useLoad(() => get<Health>("/server/health"), "health");
  return (
    <>
      <Head title={a("health")} lead={a("health_lead")}>
        <button type="button" class="button" onClick={health.again}><Icon name="refresh" /> {a("look_again")}</button>
      </Head>
      <Loading of={health}>
        {(found) => (
          <>
            {!found.complaints.length && <p class="banner fine"><Icon name="check" /> <span>{a("health_fine")}</span></p>}
            <ul class="complaints">
              {found.complaints.map((one) => (
                <li class="card" key={`${one.area} ${one.subject} ${one.what}`}>
                  <p class="complaint-head">
                    <Badge kind={KIND[one.severity]}>{named("severity", one.severity)}</Badge>
                    <strong>{one.area === "dns" ? <a href={hash("domains", one.subject)}>{one.subject}</a> : one.subject}</strong>
                    {one.since && <span class="muted">{a("since", { when: moment(one.since) })}</span>}
                  </p>
                  <p>{one.what}</p>
                  {one.remedy && <p class="remedy"><Icon name="check" /> <span>{one.remedy}</span> {one.remedy.startsWith(PUBLISH) && <CopyText text={one.remedy.slice(PUBLISH.length)} label={one.subject} />}</p>}
                </li>
              ))}
            </ul>
            {found.examined < found.domains && <p class="muted">{a("health_some", { n: found.examined, all: found.domains })}</p>}
          </>
        )}
      </Loading>
    </>
  );
}
