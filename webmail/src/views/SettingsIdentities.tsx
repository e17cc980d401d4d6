import { useState } from "preact/hooks";
import { t } from "../i18n";
import { SUBMISSION } from "../jmap/client";
import type { Identity, SetResult } from "../jmap/types";
import { parseAddresses, written } from "../lib/address";
import { ask, jmap, prefer, preferences, say, sayError } from "../state/app";
import { identities, loadIdentities } from "../state/compose";
import { Check, Field, Icon } from "./common";

export function Identities() {
  const [editing, setEditing] = useState<string | null>(null);
  const list = identities.value;
  const first = preferences.value.identity || list[0]?.id;
  return (
    <>
      <p class="lead">{t("identities_lead")}</p>
      {list.map((identity) =>
        editing === identity.id ? (
          <Edit key={identity.id} identity={identity} close={() => setEditing(null)} />
        ) : (
          <section class="card line" key={identity.id}>
            <div>
              <strong>{identity.name || identity.email}</strong>
              {first === identity.id && <span class="place">{t("identity_first")}</span>}
              <span class="muted">{identity.email}</span>
            </div>
            <button type="button" class="button" onClick={() => setEditing(identity.id)}><Icon name="edit" /> {t("edit")}</button>
          </section>
        ),
      )}
      {editing === "" ? (
        <Edit identity={null} close={() => setEditing(null)} />
      ) : (
        <button type="button" class="button" onClick={() => setEditing("")}><Icon name="plus" /> {t("identity_new")}</button>
      )}
    </>
  );
}

function Edit({ identity, close }: { identity: Identity | null; close: () => void }) {
  const own = [...new Set(identities.value.map((one) => one.email))];
  const [name, setName] = useState(identity?.name ?? identities.value[0]?.name ?? "");
  const [email, setEmail] = useState(identity?.email ?? own[0] ?? "");
  const [replyTo, setReplyTo] = useState(identity?.replyTo?.map(written).join(", ") ?? "");
  const [bcc, setBcc] = useState(identity?.bcc?.map(written).join(", ") ?? "");
  const [signature, setSignature] = useState(identity?.textSignature ?? "");
  const isFirst = (preferences.value.identity || identities.value[0]?.id) === identity?.id;
  const [first, setFirst] = useState(isFirst);
  const [problem, setProblem] = useState("");

  const save = async (event: Event) => {
    event.preventDefault();
    const reply = parseAddresses(replyTo);
    const copies = parseAddresses(bcc);
    if (reply.rest || copies.rest) {
      setProblem(t("address_bad", { text: reply.rest || copies.rest }));
      return;
    }
    const values = {
      name: name.trim(), replyTo: reply.found.length ? reply.found : null, bcc: copies.found.length ? copies.found : null,
      textSignature: signature, htmlSignature: identity?.htmlSignature && signature === identity.textSignature ? identity.htmlSignature : "",
    };
    try {
      const result = await jmap().call<SetResult<Identity>>("Identity/set", {
        accountId: jmap().accountFor(SUBMISSION),
        ...(identity ? { update: { [identity.id]: values } } : { create: { new: { ...values, email: email.trim() } } }),
      });
      const refused = Object.values({ ...result.notCreated, ...result.notUpdated })[0];
      if (refused) {
        setProblem(refused.description ?? (refused.type === "forbiddenFrom" ? t("identity_forbidden") : refused.type));
        return;
      }
      const id = identity?.id ?? result.created?.new?.id ?? "";
      if (first && id) prefer({ identity: id });
      await loadIdentities();
      say(t("saved"));
      close();
    } catch (error) {
      sayError("error_save", error);
    }
  };
  const remove = async () => {
    if (!identity || (await ask({ title: t("identity_delete"), text: written(identity), yes: t("delete"), danger: true })) === null) return;
    try {
      await jmap().call("Identity/set", { accountId: jmap().accountFor(SUBMISSION), destroy: [identity.id] });
      await loadIdentities();
      close();
    } catch (error) {
      sayError("error_save", error);
    }
  };
  return (
    <form class="card" onSubmit={save}>
      <Field label={t("identity_name")}>
        {(id) => <input id={id} value={name} autocomplete="name" autofocus onInput={(event) => setName(event.currentTarget.value)} />}
      </Field>
      <Field label={t("identity_email")} hint={identity ? undefined : t("identity_email_hint")}>
        {(id) => (
          <input id={id} type="email" required value={email} readOnly={!!identity} onInput={(event) => setEmail(event.currentTarget.value)} />
        )}
      </Field>
      <Field label={t("reply_to")} hint={t("reply_to_hint")}>
        {(id) => <input id={id} value={replyTo} onInput={(event) => setReplyTo(event.currentTarget.value)} />}
      </Field>
      <Field label={t("bcc_always")}>
        {(id) => <input id={id} value={bcc} onInput={(event) => setBcc(event.currentTarget.value)} />}
      </Field>
      <Field label={t("signature")}>
        {(id) => <textarea id={id} rows={5} value={signature} onInput={(event) => setSignature(event.currentTarget.value)} />}
      </Field>
      <Check label={t("identity_make_first")} checked={first} change={setFirst} />
      {problem && <p class="problem" role="alert">{problem}</p>}
      <footer>
        {identity?.mayDelete && <button type="button" class="button danger" onClick={() => void remove()}>{t("delete")}</button>}
        <span class="gap" />
        <button type="button" class="button quiet" onClick={close}>{t("cancel")}</button>
        <button type="submit" class="button primary">{t("save")}</button>
      </footer>
    </form>
  );
}
