import { useEffect, useRef, useState } from "preact/hooks";
import { t } from "../i18n";
import { RULES } from "../jmap/client";
import type { Rule } from "../jmap/types";
import { lazy } from "../lib/lazy";
import { ask, jmap, say, sayError } from "../state/app";
import { rulesChanged } from "../state/push";
import { actionTexts, applyRule, conditionText, deleteRule, enableRule, loadRules, moveRule, ownInbox, rules, targetOf, tryRule } from "../state/rules";
import { Icon, MenuButton, Spinner } from "./common";

const RuleEditor = lazy(() => import("./SettingsRulesEditor"));

export function Rules() {
  const [editing, setEditing] = useState<Rule | null | undefined>(undefined); // null: a new one
  const changed = rulesChanged.value;
  useEffect(() => {
    loadRules().catch((error: unknown) => sayError("error_load", error));
  }, [changed]);
  const list = rules.value;
  if (!list) return <Spinner />;
  const most = Number(jmap().account(jmap().accountFor(RULES))?.accountCapabilities[RULES]?.maxRules ?? 100);
  return (
    <>
      <p class="lead">{t("rules_lead")}</p>
      {list.length ? <List list={list} edit={setEditing} /> : <p class="card rules-none">{t("rules_none")}</p>}
      <button type="button" class="button primary" disabled={list.length >= most} onClick={() => setEditing(null)}>
        <Icon name="plus" /> {t("rule_new")}
      </button>
      {editing !== undefined && <RuleEditor rule={editing} close={() => setEditing(undefined)} />}
    </>
  );
}

/** In the order in which they are asked; a row is moved with the pointer, or by the arrow keys on its grip. */
function List({ list, edit }: { list: Rule[]; edit: (rule: Rule) => void }) {
  const [dragged, setDragged] = useState<string | null>(null);
  const [over, setOver] = useState(-1);
  const box = useRef<HTMLOListElement>(null);
  const move = (rule: Rule, to: number) => {
    if (to < 0 || to >= list.length) return;
    void moveRule(rule.id, to);
    say(t("rule_moved", { name: rule.name, at: to + 1, of: list.length }));
    requestAnimationFrame(() => box.current?.querySelector<HTMLElement>(`[data-rule="${rule.id}"] .grip`)?.focus());
  };
  const drop = () => {
    const rule = list.find((one) => one.id === dragged);
    if (rule && over >= 0) move(rule, over);
    setDragged(null);
    setOver(-1);
  };
  return (
    <ol class="rules" ref={box} aria-label={t("settings_rules")}>
      {list.map((rule, n) => {
        const lost = targetOf(rule) === null;
        const does = actionTexts(rule);
        return (
          <li
            key={rule.id} data-rule={rule.id}
            class={["card rule", rule.isEnabled ? "" : "off", dragged === rule.id ? "dragged" : "", over === n && dragged ? "over" : ""].filter(Boolean).join(" ")}
            onDragOver={(event) => {
              if (!dragged) return;
              event.preventDefault();
              setOver(n);
            }}
            onDrop={(event) => {
              event.preventDefault();
              drop();
            }}
          >
            <button
              type="button" class="icon-button grip" draggable aria-label={t("rule_grip", { name: rule.name })} title={t("rule_grip_hint")}
              onDragStart={(event) => {
                event.dataTransfer?.setData("text/plain", rule.name);
                const row = event.currentTarget.closest("li");
                if (row) event.dataTransfer?.setDragImage(row, 16, 16);
                setDragged(rule.id);
              }}
              onDragEnd={() => {
                setDragged(null);
                setOver(-1);
              }}
              onKeyDown={(event) => {
                const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
                if (!step) return;
                event.preventDefault();
                event.stopPropagation();
                move(rule, n + step);
              }}
            ><Icon name="grip" /></button>
            <div class="rule-said">
              <button type="button" class="rule-name" onClick={() => edit(rule)}>{rule.name}</button>
              <p>{rule.conditions.map(conditionText).join(rule.matchAll ? t("rule_and") : t("rule_or"))}</p>
              {does.length > 0 && <p class="muted"><span aria-hidden="true">→ </span>{does.join(", ")}</p>}
              {lost && <p class="rule-lost"><Icon name="junk" /> {t("rule_lost")}</p>}
            </div>
            <input
              type="checkbox" role="switch" class="switch" checked={rule.isEnabled} aria-label={t("rule_use", { name: rule.name })}
              onChange={(event) => void enableRule(rule, event.currentTarget.checked)}
            />
            <MenuButton icon="more" label={t("more")} items={[
              { label: t("edit"), icon: "edit", run: () => edit(rule) },
              ...(rule.isEnabled ? [{ label: t("rule_apply"), icon: "inbox" as const, run: () => void apply(rule) }] : []),
              ...(n ? [{ label: t("rule_up"), run: () => move(rule, n - 1) }] : []),
              ...(n < list.length - 1 ? [{ label: t("rule_down"), run: () => move(rule, n + 1) }] : []),
              null,
              { label: t("delete"), icon: "trash", danger: true, run: () => void deleteRule(rule) },
            ]} />
          </li>
        );
      })}
    </ol>
  );
}

/** First how many it would be, then what is done. */
async function apply(rule: Rule): Promise<void> {
  const here = ownInbox.value;
  if (!here) return;
  try {
    let n = 0;
    let all = false;
    await tryRule(here.id, rule, (count) => {
      n = count.matched;
      all = count.examined >= here.totalEmails;
    }, new AbortController().signal);
    if (!n && all) {
      say(t("rule_matches", { n: 0, of: here.totalEmails }));
      return;
    }
    const text = `${t(all ? "rule_would" : "rule_would_newest", { n })}${rule.forwardTo.length ? ` ${t("rule_no_copies")}` : ""}`;
    if ((await ask({ title: t("rule_apply"), text, yes: t("rule_apply_yes") })) === null) return;
    await applyRule(here.id, rule.id);
  } catch (error) {
    sayError("error_save", error);
  }
}
