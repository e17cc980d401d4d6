import { useState } from "preact/hooks";
import { ask } from "../state/app";
import { Check, Field, Icon } from "../views/common";
import { at, call, get, type Alias, type Group } from "./api";
import { Badge, FormDialog, Head, Loading, Search, Table } from "./parts";
import { act, useLoad } from "./state";
import { a } from "./text";

const listed = (text: string) => text.split(/[\s,;]+/).filter(Boolean);
const changes = (before: string[], after: string[]) => ({
  add: after.filter((one) => !before.includes(one)), drop: before.filter((one) => !after.includes(one)),
});

export function Aliases() {
  const aliases = useLoad(() => get<Alias[]>("/aliases"), "aliases");
  const [text, setText] = useState("");
  const [open, setOpen] = useState<Alias | "new" | null>(null);
  const drop = async (one: Alias) => {
    const sure = await ask({ title: a("alias_remove"), text: a("alias_remove_text", { address: one.address }), yes: a("remove"), danger: true });
    if (sure !== null && (await act(() => call("DELETE", at("aliases", one.address)), a("removed", { name: one.address })))) aliases.again();
  };
  const wanted = (one: Alias) => [one.address, ...one.targets].some((part) => part.includes(text.trim().toLowerCase()));
  return (
    <>
      <Head title={a("aliases")} lead={a("aliases_lead")}>
        <Search label={a("find")} value={text} change={setText} />
        <button type="button" class="button primary" onClick={() => setOpen("new")}><Icon name="plus" /> {a("alias_add")}</button>
      </Head>
      <Loading of={aliases}>
        {(found) => (
          <Table label={a("aliases")} rows={found.filter(wanted)} key_={(one) => one.address} empty={<p>{text ? a("nothing_found") : a("aliases_none")}</p>} columns={[
            { title: a("address"), of: (one) => (one.address.startsWith("@") ? `${one.address} (${a("catch_all")})` : one.address) },
            { title: a("targets"), of: (one) => <span class="words">{one.targets.join(", ")}</span> },
            { title: "", of: (one) => (
              <span class="row-acts">
                <button type="button" class="link" onClick={() => setOpen(one)}>{a("change")}</button>
                <button type="button" class="link" onClick={() => void drop(one)}>{a("remove")}</button>
              </span>
            ), end: true },
          ]} />
        )}
      </Loading>
      {open && <EditAlias alias={open === "new" ? null : open} close={() => setOpen(null)} done={() => { setOpen(null); aliases.again(); }} />}
    </>
  );
}

function EditAlias(props: { alias: Alias | null; close: () => void; done: () => void }) {
  const [address, setAddress] = useState(props.alias?.address ?? "");
  const [targets, setTargets] = useState(props.alias?.targets.join("\n") ?? "");
  return (
    <FormDialog title={props.alias ? props.alias.address : a("alias_add")} yes={a("save")} close={props.close} save={async () => {
      if (props.alias) await call("PATCH", at("aliases", props.alias.address), changes(props.alias.targets, listed(targets)));
      else await call("POST", "/aliases", { address: address.trim(), targets: listed(targets) });
      props.done();
    }}>
      {!props.alias && (
        <Field label={a("address")} hint={a("alias_hint")}>
          {(id) => <input id={id} required autofocus value={address} onInput={(event) => setAddress(event.currentTarget.value)} />}
        </Field>
      )}
      <Field label={a("targets")} hint={a("one_per_line")}>
        {(id) => <textarea id={id} required rows={5} value={targets} onInput={(event) => setTargets(event.currentTarget.value)} />}
      </Field>
    </FormDialog>
  );
}

export function Groups() {
  const groups = useLoad(() => get<Group[]>("/groups"), "groups");
  const [text, setText] = useState("");
  const [open, setOpen] = useState<Group | "new" | null>(null);
  const drop = async (one: Group) => {
    const sure = await ask({ title: a("group_remove"), text: a("group_remove_text", { address: one.address }), yes: a("remove"), danger: true });
    if (sure !== null && (await act(() => call("DELETE", at("groups", one.address)), a("removed", { name: one.address })))) groups.again();
  };
  const wanted = (one: Group) => [one.address, one.name.toLowerCase(), ...one.members].some((part) => part.includes(text.trim().toLowerCase()));
  return (
    <>
      <Head title={a("groups")} lead={a("groups_lead")}>
        <Search label={a("find")} value={text} change={setText} />
        <button type="button" class="button primary" onClick={() => setOpen("new")}><Icon name="plus" /> {a("group_add")}</button>
      </Head>
      <Loading of={groups}>
        {(found) => (
          <Table label={a("groups")} rows={found.filter(wanted)} key_={(one) => one.address} empty={<p>{text ? a("nothing_found") : a("groups_none")}</p>} columns={[
            { title: a("address"), of: (one) => <>{one.address} {!one.enabled && <Badge kind="quiet">{a("disabled")}</Badge>}</> },
            { title: a("name"), of: (one) => one.name || "–" },
            { title: a("members"), of: (one) => <span class="words">{one.members.join(", ") || "–"}</span> },
            { title: "", of: (one) => (
              <span class="row-acts">
                <button type="button" class="link" onClick={() => setOpen(one)}>{a("change")}</button>
                <button type="button" class="link" onClick={() => void drop(one)}>{a("remove")}</button>
              </span>
            ), end: true },
          ]} />
        )}
      </Loading>
      {open && <EditGroup group={open === "new" ? null : open} close={() => setOpen(null)} done={() => { setOpen(null); groups.again(); }} />}
    </>
  );
}

function EditGroup(props: { group: Group | null; close: () => void; done: () => void }) {
  const one = props.group;
  const [address, setAddress] = useState("");
  const [name, setName] = useState(one?.name ?? "");
  const [members, setMembers] = useState(one?.members.join("\n") ?? "");
  const [enabled, setEnabled] = useState(one?.enabled ?? true);
  return (
    <FormDialog title={one ? one.address : a("group_add")} yes={a("save")} close={props.close} save={async () => {
      if (one) await call("PATCH", at("groups", one.address), { name: name.trim(), enabled, ...changes(one.members, listed(members)) });
      else await call("POST", "/groups", { address: address.trim(), name: name.trim(), members: listed(members) });
      props.done();
    }}>
      {!one && (
        <Field label={a("address")}>
          {(id) => <input id={id} type="email" required autofocus value={address} onInput={(event) => setAddress(event.currentTarget.value)} />}
        </Field>
      )}
      <Field label={a("name")}>
        {(id) => <input id={id} value={name} onInput={(event) => setName(event.currentTarget.value)} />}
      </Field>
      <Field label={a("members")} hint={a("one_per_line")}>
        {(id) => <textarea id={id} rows={6} value={members} onInput={(event) => setMembers(event.currentTarget.value)} />}
      </Field>
      {one && <Check label={a("group_enabled")} checked={enabled} change={setEnabled} />}
    </FormDialog>
  );
}
