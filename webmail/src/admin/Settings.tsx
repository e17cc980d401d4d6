import { useState } from "preact/hooks";
import { ask } from "../state/app";
import { Check, Field, Icon } from "../views/common";
import { at, call, get, type ApiKey, type SettingView } from "./api";
import { Badge, FormDialog, Head, Loading, Once, Search, Table } from "./parts";
import { act, server, useLoad } from "./state";
import { a, ago } from "./text";

/** about: what to look for at first, such as "smtp.max_size". */
export function ServerSettings(props: { about: string }) {
  const settings = useLoad(() => get<SettingView[]>("/server/settings"), "settings");
  const [text, setText] = useState(props.about);
  const wanted = (one: SettingView) => `${one.section}.${one.key} ${one.purpose}`.toLowerCase().includes(text.trim().toLowerCase());
  return (
    <>
      <Head title={a("settings")} lead={a("settings_lead")}>
        <Search label={a("find")} value={text} change={setText} />
      </Head>
      <section class="card">
        <h2>{a("listeners")}</h2>
        <ul class="lines">{server.value?.listeners.map((one) => <li key={one}><code>{one}</code></li>)}</ul>
      </section>
      <Loading of={settings}>
        {(found) => {
          const shown = found.filter(wanted).sort((one, other) => Number(other.changed) - Number(one.changed));
          return (
            <Table label={a("settings")} rows={shown} key_={(one) => `${one.section}.${one.key}`} empty={<p>{a("nothing_found")}</p>} columns={[
              { title: a("setting"), of: (one) => <><code>{one.section}.{one.key}</code><span class="hint block">{one.purpose}</span></> },
              { title: a("value"), of: (one) => <><code class="words">{one.value || "–"}</code> {one.changed && <Badge kind="warn">{a("changed")}</Badge>}</> },
              { title: a("default"), of: (one) => <code>{one.default || "–"}</code> },
            ]} />
          );
        }}
      </Loading>
    </>
  );
}

export function Keys() {
  const keys = useLoad(() => get<ApiKey[]>("/api-keys"), "keys");
  const [adding, setAdding] = useState(false);
  const [name, setName] = useState("");
  const [write, setWrite] = useState(false);
  const [secret, setSecret] = useState("");
  const drop = async (one: ApiKey) => {
    const sure = await ask({ title: a("key_remove"), text: a("key_remove_text", { name: one.name }), yes: a("remove"), danger: true });
    if (sure !== null && (await act(() => call("DELETE", at("api-keys", one.name)), a("removed", { name: one.name })))) keys.again();
  };
  return (
    <>
      <Head title={a("api_keys")} lead={a("keys_lead")}>
        <a class="button quiet" href="/api/v1/openapi.json">OpenAPI</a>
        <button type="button" class="button primary" onClick={() => { setName(""); setAdding(true); }}><Icon name="plus" /> {a("key_add")}</button>
      </Head>
      <Loading of={keys}>
        {(found) => (
          <Table label={a("api_keys")} rows={found} key_={(one) => one.name} empty={<p>{a("keys_none")}</p>} columns={[
            { title: a("name"), of: (one) => one.name },
            { title: a("may"), of: (one) => a(one.scopes.some((scope) => scope !== "admin:read") ? "may_write" : "may_read") },
            { title: a("used_last"), of: (one) => (one.used_at ? ago(one.used_at) : a("never_used")) },
            { title: "", of: (one) => <button type="button" class="link" onClick={() => void drop(one)}>{a("remove")}</button>, end: true },
          ]} />
        )}
      </Loading>
      {adding && (
        <FormDialog title={a("key_add")} yes={a("add")} close={() => setAdding(false)} save={async () => {
          const made = await call<{ key: string }>("POST", "/api-keys", { name: name.trim(), scopes: write ? ["admin:read", "admin:write"] : ["admin:read"] });
          setAdding(false);
          setSecret(made.key);
          keys.again();
        }}>
          <Field label={a("name")} hint={a("key_name_hint")}>
            {(id) => <input id={id} required autofocus value={name} onInput={(event) => setName(event.currentTarget.value)} />}
          </Field>
          <Check label={a("key_write")} hint={a("key_write_hint")} checked={write} change={setWrite} />
        </FormDialog>
      )}
      {secret && <Once title={a("key_made")} text={a("key_once")} secret={secret} close={() => setSecret("")} />}
    </>
  );
}
