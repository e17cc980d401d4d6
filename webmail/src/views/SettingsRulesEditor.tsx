import { useEffect, useRef, useState } from "preact/hooks";
import { t } from "../i18n";
import type { Key } from "../i18n/en";
import { RULES } from "../jmap/client";
import type { Email, Id, Mailbox, Rule, RuleCondition, SetResult } from "../jmap/types";
import { parseAddresses } from "../lib/address";
import { ask, jmap, say, sayError } from "../state/app";
import { applyRule, conditionText, draftFrom, loadOwnMailboxes, NEW, ownInbox, ownMailboxes, ownPath, saveRule, tryRule, type Count, type Draft } from "../state/rules";
import { Check, Dialog, Field, Icon, IconButton } from "./common";

const PAUSE_MS = 400; // after a change, before the rule is tried
const TYPES = ["from", "to", "subject", "list", "header", "size", "attachment"] as const;
const UNITS = { kb: 1_000, mb: 1_000_000 } as const;

const comparisons = (type: RuleCondition["type"]): RuleCondition["comparison"][] =>
  type === "size" ? ["over", "under"] : type === "attachment" ? ["is", "isNot"] : ["contains", "notContains", "is", "isNot"];

/** A condition that says nothing yet: the server would refuse it. */
const empty = (one: RuleCondition) =>
  one.type === "size" ? !Number(one.value) : one.type !== "attachment" && (!String(one.value ?? "").trim() || (one.type === "header" && !one.header));

/** rule: one to be changed; null: a new one, about messages like the email. */
export default function RuleEditor({ rule, email, close }: { rule: Rule | null; email?: Email; close: () => void }) {
  const first: Draft = rule ?? (email ? draftFrom(email) : NEW);
  const [name, setName] = useState(first.name);
  const [every, setEvery] = useState(first.matchAll);
  const [conditions, setConditions] = useState(first.conditions);
  const [into, setInto] = useState(first.fileInto ?? (first.fileIntoRole ? `role:${first.fileIntoRole}` : ""));
  const [seen, setSeen] = useState(first.markSeen);
  const [flagged, setFlagged] = useState(first.markFlagged);
  const [keywords, setKeywords] = useState(first.addKeywords.join(", "));
  const [copies, setCopies] = useState(first.forwardTo.join(", "));
  const [stop, setStop] = useState(first.stop);
  const [now, setNow] = useState(false);
  const [more, setMore] = useState(!!(first.addKeywords.length || first.forwardTo.length));
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  const rows = useRef<HTMLDivElement>(null);
  const count = useCount(conditions, every);
  const most = Number(jmap().account(jmap().accountFor(RULES))?.accountCapabilities[RULES]?.maxConditions ?? 20);
  const lost = !!into && !into.startsWith("role:") && !ownMailboxes.value.some((one) => one.id === into);

  const change = (n: number, one: RuleCondition) => setConditions(conditions.map((old, at) => (at === n ? one : old)));
  const add = () => {
    setConditions([...conditions, { type: "subject", comparison: "contains", value: "" }]);
    requestAnimationFrame(() => rows.current?.querySelector<HTMLElement>(".condition:last-of-type select")?.focus());
  };
  const save = async (event: Event) => {
    event.preventDefault();
    const to = parseAddresses(copies);
    if (to.rest) {
      setProblem(t("address_bad", { text: to.rest }));
      return;
    }
    const values: Draft = {
      name: name.trim() || conditionText(conditions[0]!).slice(0, 200), isEnabled: first.isEnabled, matchAll: every, conditions,
      fileInto: into && !into.startsWith("role:") ? into : null,
      fileIntoRole: into.startsWith("role:") ? (into.slice(5) as "junk" | "trash") : null,
      markSeen: seen, markFlagged: flagged, addKeywords: keywords.split(/[\s,]+/).filter(Boolean),
      forwardTo: to.found.map((one) => one.email), stop,
    };
    setProblem("");
    setBusy(true);
    try {
      const id = await saveRule(rule?.id ?? null, values);
      close();
      const here = ownInbox.value;
      if (!now || !here) say(t("rule_saved", { name: values.name }));
      else await applyRule(here.id, id).catch((problem: unknown) => sayError("error_save", problem));
    } catch (error) {
      setBusy(false);
      if (error instanceof Error && error.message) setProblem(error.message);
      else sayError("error_save", error);
    }
  };
  return (
    <Dialog title={t(rule ? "rule_edit" : "rule_new")} close={close} wide class="rule-editor">
      <form onSubmit={save}>
        <Field label={t("rule_name")}>
          {(id) => (
            <input
              id={id} value={name} maxLength={200} placeholder={empty(conditions[0]!) ? "" : conditionText(conditions[0]!)}
              onInput={(event) => setName(event.currentTarget.value)}
            />
          )}
        </Field>
        <fieldset class="plain">
          <legend>{t("rule_when")}</legend>
          <div class="conditions" ref={rows}>
            {conditions.length > 1 && (
              <select aria-label={t("rule_when")} value={every ? "all" : "any"} onChange={(event) => setEvery(event.currentTarget.value === "all")}>
                <option value="all">{t("rule_all")}</option>
                <option value="any">{t("rule_any")}</option>
              </select>
            )}
            {conditions.map((one, n) => (
              <Condition
                key={n} one={one} change={(made) => change(n, made)}
                remove={conditions.length > 1 ? () => setConditions(conditions.filter((_, at) => at !== n)) : null}
              />
            ))}
          </div>
          {conditions.length < most && (
            <button type="button" class="button quiet" onClick={add}><Icon name="plus" /> {t("rule_add")}</button>
          )}
        </fieldset>
        <p class="rule-count" role="status">{count && countText(count)}</p>
        <fieldset class="plain">
          <legend>{t("rule_then")}</legend>
          <Field label={t("rule_move")} error={lost ? t("rule_lost") : undefined}>
            {(id) => (
              <select id={id} value={into} onChange={(event) => {
                const chosen = event.currentTarget.value;
                if (chosen !== "new") setInto(chosen);
                else {
                  event.currentTarget.value = into; // until there is one
                  void newFolder(name).then((made) => made && setInto(made));
                }
              }}>
                <option value="">{t("rule_stay")}</option>
                {lost && <option value={into}>{t("rule_gone")}</option>}
                <option value="role:junk">{t("role_junk")}</option>
                <option value="role:trash">{t("role_trash")}</option>
                {ownMailboxes.value.filter((one) => !["inbox", "junk", "trash", "drafts"].includes(one.role ?? "") || one.id === into).map((one) => (
                  <option key={one.id} value={one.id}>{ownPath(one)}</option>
                ))}
                <option value="new">{t("rule_new_folder")}</option>
              </select>
            )}
          </Field>
          <div class="checks">
            <Check label={t("rule_seen")} checked={seen} change={setSeen} />
            <Check label={t("rule_flagged")} checked={flagged} change={setFlagged} />
          </div>
          {more ? (
            <div class="side-by-side">
              <Field label={t("rule_keywords")} hint={t("rule_keywords_hint")}>
                {(id) => <input id={id} value={keywords} autocapitalize="none" onInput={(event) => setKeywords(event.currentTarget.value)} />}
              </Field>
              <Field label={t("rule_forward")} hint={t("rule_forward_hint")}>
                {(id) => <input id={id} inputMode="email" value={copies} onInput={(event) => setCopies(event.currentTarget.value)} />}
              </Field>
            </div>
          ) : (
            <button type="button" class="button quiet" onClick={() => setMore(true)}><Icon name="plus" /> {t("rule_more")}</button>
          )}
          <Check label={t("rule_stop")} checked={stop} change={setStop} />
        </fieldset>
        {first.isEnabled && !!count?.matched && (
          <Check label={t("rule_now")} {...(copies.trim() ? { hint: t("rule_no_copies") } : {})} checked={now} change={setNow} />
        )}
        {problem && <p class="problem" role="alert">{problem}</p>}
        <footer>
          <button type="button" class="button quiet" onClick={close}>{t("cancel")}</button>
          <button type="submit" class="button primary" disabled={busy || conditions.some(empty)}>{t("save")}</button>
        </footer>
      </form>
    </Dialog>
  );
}

/** Asks for a name; null where nothing was made. */
async function newFolder(value: string): Promise<Id | null> {
  const name = await ask({ title: t("folder_new"), text: "", yes: t("create"), input: { label: t("folder_name"), value } });
  if (!name?.trim()) return null;
  const accountId = jmap().accountFor(RULES);
  try {
    const done = await jmap().call<SetResult<Mailbox>>("Mailbox/set", {
      accountId, create: { new: { name: name.trim(), parentId: null, isSubscribed: true } },
    });
    const refused = done.notCreated?.new;
    if (refused) throw new Error(refused.description ?? refused.type);
    await loadOwnMailboxes();
    return done.created!.new!.id;
  } catch (error) {
    sayError("error_folder", error);
    return null;
  }
}

function Condition({ one, change, remove }: { one: RuleCondition; change: (one: RuleCondition) => void; remove: (() => void) | null }) {
  const text = !["size", "attachment"].includes(one.type);
  const retype = (type: RuleCondition["type"]) => {
    const possible = comparisons(type);
    const made: RuleCondition = { type, comparison: possible.includes(one.comparison) ? one.comparison : possible[0]! };
    if (type === "size") made.value = 5 * UNITS.mb;
    else if (type !== "attachment") made.value = text ? (one.value ?? "") : "";
    if (type === "header") made.header = "";
    change(made);
  };
  return (
    <div class={one.type === "header" ? "condition any-field" : "condition"}>
      <select aria-label={t("rule_what")} value={one.type} onChange={(event) => retype(event.currentTarget.value as RuleCondition["type"])}>
        {TYPES.map((type) => <option key={type} value={type}>{t(`rule_${type}` as Key)}</option>)}
      </select>
      {one.type === "header" && (
        <input
          aria-label={t("rule_header_name")} placeholder="X-Priority" value={one.header} autocapitalize="none" spellcheck={false}
          onInput={(event) => change({ ...one, header: event.currentTarget.value.trim() })}
        />
      )}
      <select
        aria-label={t("rule_how")} value={one.comparison}
        onChange={(event) => change({ ...one, comparison: event.currentTarget.value as RuleCondition["comparison"] })}
      >
        {comparisons(one.type).map((how) => (
          <option key={how} value={how}>{t(`rule_${one.type === "attachment" ? "attachment_" : ""}${how}` as Key)}</option>
        ))}
      </select>
      {text && (
        <input aria-label={t("rule_value")} value={one.value} maxLength={500} onInput={(event) => change({ ...one, value: event.currentTarget.value })} />
      )}
      {one.type === "size" && <Size value={Number(one.value)} change={(value) => change({ ...one, value })} />}
      {remove && <IconButton icon="close" label={t("remove")} onClick={remove} />}
    </div>
  );
}

function Size({ value, change }: { value: number; change: (value: number) => void }) {
  const [unit, setUnit] = useState<keyof typeof UNITS>(value % UNITS.mb ? "kb" : "mb");
  return (
    <span class="condition-size">
      <input
        type="number" min={1} step={1} aria-label={t("rule_value")} value={value / UNITS[unit]}
        onInput={(event) => change(Math.round(Number(event.currentTarget.value) * UNITS[unit]))}
      />
      <select aria-label={t("rule_unit")} value={unit} onChange={(event) => {
        const made = event.currentTarget.value as keyof typeof UNITS;
        setUnit(made);
        change(Math.round((value / UNITS[unit]) * UNITS[made]));
      }}>
        <option value="kb">{t("rule_kb")}</option>
        <option value="mb">{t("rule_mb")}</option>
      </select>
    </span>
  );
}

/** How many messages of the inbox hold for the conditions as they stand; null where nothing can be said. */
function useCount(conditions: RuleCondition[], matchAll: boolean): Count | null {
  const [count, setCount] = useState<Count | null>(null);
  const here = ownInbox.value?.id;
  useEffect(() => {
    if (!here || conditions.some(empty)) {
      setCount(null);
      return;
    }
    const stop = new AbortController();
    const timer = setTimeout(() => {
      tryRule(here, { conditions, matchAll }, setCount, stop.signal).catch(() => !stop.signal.aborted && setCount(null));
    }, PAUSE_MS);
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [here, conditions, matchAll]);
  return count;
}

function countText(count: Count): string {
  const total = ownInbox.value?.totalEmails ?? count.examined;
  if (!count.done) return t("rule_counting", { n: count.matched });
  return t(count.examined < total ? "rule_matches_newest" : "rule_matches", { n: count.matched, of: count.examined });
}
