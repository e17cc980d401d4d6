import type { ComponentChildren } from "preact";
import { useId, useState } from "preact/hooks";
import { number } from "../i18n";
import { say } from "../state/app";
import { Dialog, Icon, Spinner, type IconName } from "../views/common";
import { type Loaded, words } from "./state";
import { a } from "./text";

export function Head(props: { title: string; lead?: string; children?: ComponentChildren }) {
  return (
    <header class="page-head">
      <div>
        <h1>{props.title}</h1>
        {props.lead && <p class="muted">{props.lead}</p>}
      </div>
      <div class="page-acts">{props.children}</div>
    </header>
  );
}

/** What was loaded; before it a spinner, or what is wrong with a way to try again. */
export function Loading<T>(props: { of: Loaded<T>; children: (value: T) => ComponentChildren }) {
  const { value, problem, again } = props.of;
  return (
    <>
      {problem && (
        <p class="banner bad" role="alert">
          <span>{problem}</span> <button type="button" class="link" onClick={again}>{a("try_again")}</button>
        </p>
      )}
      {value === null ? !problem && <div class="reader-wait"><Spinner /></div> : props.children(value)}
    </>
  );
}

export function Badge(props: { kind: "good" | "bad" | "warn" | "quiet"; children: ComponentChildren }) {
  return <span class={`badge ${props.kind}`}>{props.children}</span>;
}

export interface Column<T> { title: string; of: (row: T) => ComponentChildren; end?: boolean; main?: boolean }

/** A table; on a phone each row is a card whose cells say what they are. */
export function Table<T>(props: {
  label: string; rows: T[]; columns: Column<T>[]; key_: (row: T) => string; href?: (row: T) => string; empty: ComponentChildren;
}) {
  if (!props.rows.length) return <div class="empty">{props.empty}</div>;
  return (
    <div class="table-box" tabIndex={0} role="region" aria-label={props.label}>
      <table class="table">
        <thead>
          <tr>{props.columns.map((column) => <th scope="col" key={column.title} class={column.end ? "end" : ""}>{column.title}</th>)}</tr>
        </thead>
        <tbody>
          {props.rows.map((row) => (
            <tr key={props.key_(row)}>
              {props.columns.map((column, n) => (
                <td key={column.title} data-title={column.title} class={`${column.end ? "end" : ""} ${n === 0 ? "first" : ""}`}>
                  {n === 0 && props.href ? <a href={props.href(row)}>{column.of(row)}</a> : column.of(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function Facts(props: { of: [string, ComponentChildren][] }) {
  return (
    <dl class="facts">
      {props.of.filter(([, value]) => value !== null && value !== "" && value !== undefined).map(([name, value]) => (
        <div key={name}><dt>{name}</dt><dd>{value}</dd></div>
      ))}
    </dl>
  );
}

export function Stat(props: { label: string; value: string | number; href?: string; bad?: boolean; hint?: string }) {
  const inner = (
    <>
      <span class="stat-value">{typeof props.value === "number" ? number(props.value) : props.value}</span>
      <span class="stat-label">{props.label}</span>
      {props.hint && <span class="hint">{props.hint}</span>}
    </>
  );
  const kind = `stat ${props.bad ? "bad" : ""}`;
  return props.href ? <a class={kind} href={props.href}>{inner}</a> : <div class={kind}>{inner}</div>;
}

export function CopyText(props: { text: string; label: string }) {
  return (
    <button type="button" class="link copy" aria-label={`${a("copy")}: ${props.label}`} onClick={() => {
      void navigator.clipboard?.writeText(props.text).then(() => say(a("copied")));
    }}>{a("copy")}</button>
  );
}

/** A form in a dialog: what is refused is said in it, and it stays. */
export function FormDialog(props: {
  title: string; yes: string; danger?: boolean; wide?: boolean; close: () => void; save: () => Promise<void>; children: ComponentChildren;
  disabled?: boolean;
}) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  return (
    <Dialog title={props.title} close={props.close} wide={!!props.wide}>
      <form onSubmit={(event) => {
        event.preventDefault();
        if (busy) return;
        setBusy(true);
        setProblem("");
        props.save().catch((error: unknown) => setProblem(words(error))).finally(() => setBusy(false));
      }}>
        {props.children}
        {problem && <p class="problem" role="alert">{problem}</p>}
        <footer>
          <button type="button" class="button quiet" onClick={props.close}>{a("cancel")}</button>
          <button type="submit" class={props.danger ? "button danger" : "button primary"} disabled={busy || !!props.disabled}>{props.yes}</button>
        </footer>
      </form>
    </Dialog>
  );
}

export function Search(props: { label: string; value: string; change: (text: string) => void; submit?: () => void }) {
  const id = useId();
  return (
    <form class="table-search" role="search" onSubmit={(event) => {
      event.preventDefault();
      props.submit?.();
    }}>
      <label for={id} class="sr-only">{props.label}</label>
      <Icon name="search" />
      <input id={id} type="search" placeholder={props.label} value={props.value} onInput={(event) => props.change(event.currentTarget.value)} />
    </form>
  );
}

/** One thing that a form changes. effect: what comes of it, where that is more than the thing itself. */
export interface Change { name: string; from: string; to: string; effect?: string | undefined }

/** What saving would do, before it is done. */
export function Review(props: { all: Change[]; close: () => void; save: () => Promise<void> }) {
  const changes = props.all.filter((one) => one.from !== one.to);
  return (
    <FormDialog title={a("review")} yes={a("save")} close={props.close} save={props.save} disabled={!changes.length}>
      {changes.length ? (
        <ul class="changes">
          {changes.map((one) => (
            <li key={one.name}>
              {one.name}: <del>{one.from || "–"}</del> → <ins>{one.to || "–"}</ins>
              {one.effect && <span class="hint block">{one.effect}</span>}
            </li>
          ))}
        </ul>
      ) : <p class="muted">{a("review_none")}</p>}
    </FormDialog>
  );
}

/** A password or key that is shown once. */
export function Once(props: { title: string; text: string; secret: string; close: () => void }) {
  return (
    <Dialog title={props.title} close={props.close}>
      <p>{props.text}</p>
      <p><code class="secret">{props.secret}</code> <CopyText text={props.secret} label={props.title} /></p>
      <footer><button type="button" class="button primary" onClick={props.close}>{a("done")}</button></footer>
    </Dialog>
  );
}

export interface Series { name: string; kind: "good" | "bad" | "warn" | "accent"; values: number[] }

/** Lines over time, drawn without a library. Its figures stand in a table for who cannot see it. */
export function Chart(props: { title: string; times: number[]; series: Series[]; show?: (value: number) => string; time: (ms: number) => string }) {
  const [here, setHere] = useState<number | null>(null);
  const width = 640, height = 150;
  const show = props.show ?? number;
  const quiet = props.series.every((one) => one.values.every((value) => !value));
  const top = Math.max(1, ...props.series.flatMap((one) => one.values));
  const x = (n: number) => (props.times.length < 2 ? 0 : (n / (props.times.length - 1)) * width);
  const y = (value: number) => height - (value / top) * (height - 8);
  const at = here === null ? props.times.length - 1 : here;
  return (
    <figure class="chart card">
      <figcaption>
        <h2>{props.title}</h2>
        <ul class="legend">
          {props.series.map((one) => (
            <li key={one.name}><span class={`dot ${one.kind}`} /> {one.name} <strong>{show(one.values[at] ?? 0)}</strong></li>
          ))}
          <li class="muted">{here === null ? "" : props.time(props.times[here]!)}</li>
        </ul>
      </figcaption>
      <div class="chart-box">
        <svg
          viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" role="img" aria-label={props.title}
          onPointerMove={(event) => {
            const box = event.currentTarget.getBoundingClientRect();
            const n = Math.round(((event.clientX - box.left) / box.width) * (props.times.length - 1));
            setHere(Math.min(Math.max(n, 0), props.times.length - 1));
          }}
          onPointerLeave={() => setHere(null)}
        >
          <line x1="0" x2={width} y1={height - 0.5} y2={height - 0.5} class="axis" />
          {props.series.map((one) => (
            <polyline key={one.name} class={`curve ${one.kind}`} points={one.values.map((value, n) => `${x(n).toFixed(1)},${y(value).toFixed(1)}`).join(" ")} />
          ))}
          {here !== null && <line x1={x(here)} x2={x(here)} y1="0" y2={height} class="cursor" />}
        </svg>
        {quiet && <p class="chart-quiet">{a("chart_quiet")}</p>}
      </div>
      <p class="chart-ends muted"><span>{props.time(props.times[0] ?? 0)}</span><span>{quiet ? "" : a("chart_top", { value: show(top) })}</span><span>{a("now")}</span></p>
    </figure>
  );
}

export interface NavItem { id: string; title: string; icon: IconName }
