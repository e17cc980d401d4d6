import { useEffect, useId, useRef, useState } from "preact/hooks";
import { t } from "../i18n";
import { nameOf } from "../lib/address";
import { store, stored } from "../lib/dom";
import { go, route } from "../state/app";
import { knownPeople, learn } from "../state/people";
import { mailboxes, nameOfMailbox, pathOf } from "../state/mail";
import { Icon, IconButton, type IconName } from "./common";

interface Suggestion {
  text: string; // what the field holds when it is taken
  shown: string;
  hint: string;
  icon: IconName;
  run: boolean; // searched at once
}

/** At once, so that what is typed next goes there. */
export function focusSearch(): void {
  const field = document.querySelector<HTMLInputElement>(".search input");
  field?.focus();
  field?.select();
}
const RECENT = 8;

function quoted(text: string): string {
  return /\s/.test(text) ? `"${text}"` : text;
}

/** For the word that is being typed: operators, people, mailboxes, dates; for nothing: what was searched last. */
function suggestions(text: string): Suggestion[] {
  if (!text.trim()) {
    const recent = stored<string[]>("searches", []).map(
      (one): Suggestion => ({ text: one, shown: one, hint: "", icon: "alarm", run: true }),
    );
    const usual: Suggestion[] = [
      { text: "is:unread ", shown: "is:unread", hint: t("search_unread"), icon: "unread", run: true },
      { text: "is:flagged ", shown: "is:flagged", hint: t("search_flagged"), icon: "star", run: true },
      { text: "has:attachment ", shown: "has:attachment", hint: t("search_attachment"), icon: "attach", run: true },
      { text: "from:", shown: "from:", hint: t("search_from"), icon: "person", run: false },
      { text: "to:", shown: "to:", hint: t("search_to"), icon: "person", run: false },
      { text: "subject:", shown: "subject:", hint: t("search_subject"), icon: "align", run: false },
      { text: "after:", shown: "after:", hint: t("search_after"), icon: "calendar", run: false },
      { text: "in:", shown: "in:", hint: t("search_in"), icon: "folder", run: false },
    ];
    return [...recent.slice(0, 4), ...usual];
  }
  const word = /(?:^|\s)(-?(?:[a-z]+:)?(?:"[^"]*|\S*))$/i.exec(text)?.[1] ?? "";
  const before = text.slice(0, text.length - word.length);
  const parts = /^(-?)(?:([a-z]+):)?"?(.*)$/i.exec(word);
  const operator = (parts?.[2] ?? "").toLowerCase();
  const value = parts?.[3] ?? "";
  const minus = parts?.[1] ?? "";
  const made: Suggestion[] = [];
  if (["from", "to", "cc"].includes(operator)) {
    for (const person of knownPeople(value).slice(0, 6)) {
      const full = `${before}${minus}${operator}:${person.email} `;
      made.push({ text: full, shown: nameOf(person), hint: person.email, icon: "person", run: true });
    }
  } else if (operator === "in") {
    for (const mailbox of mailboxes.value) {
      const path = pathOf(mailbox);
      if (!path.toLowerCase().includes(value.toLowerCase())) continue;
      made.push({ text: `${before}${minus}in:${quoted(path)} `, shown: path, hint: nameOfMailbox(mailbox), icon: "folder", run: true });
    }
  } else if (operator === "before" || operator === "after") {
    for (const [age, hint] of [["1d", t("ago_day")], ["1w", t("ago_week")], ["1m", t("ago_month")], ["1y", t("ago_year")]] as const) {
      if (age.startsWith(value)) made.push({ text: `${before}${operator}:${age} `, shown: `${operator}:${age}`, hint, icon: "calendar", run: true });
    }
  } else if (operator === "is" || operator === "has") {
    const all = operator === "is"
      ? [["unread", t("search_unread")], ["read", t("search_read")], ["flagged", t("search_flagged")], ["answered", t("answered")]] as const
      : [["attachment", t("search_attachment")]] as const;
    for (const [name, hint] of all) {
      if (name.startsWith(value)) made.push({ text: `${before}${minus}${operator}:${name} `, shown: `${operator}:${name}`, hint, icon: "search", run: true });
    }
  } else if (!operator) {
    for (const [name, hint] of [["from:", t("search_from")], ["to:", t("search_to")], ["subject:", t("search_subject")], ["in:", t("search_in")], ["before:", t("search_before")], ["after:", t("search_after")], ["has:attachment", t("search_attachment")], ["is:unread", t("search_unread")]] as const) {
      if (value && name.startsWith(value.toLowerCase())) made.push({ text: `${before}${minus}${name}`, shown: name, hint, icon: "search", run: name.length > 9 });
    }
    if (value.length > 1) {
      for (const person of knownPeople(value).slice(0, 4)) {
        made.push({ text: `${before}from:${person.email} `, shown: nameOf(person), hint: `from:${person.email}`, icon: "person", run: true });
      }
    }
  }
  return made.slice(0, 10);
}

export function SearchBar() {
  const [text, setText] = useState(route.value.search);
  const [shown, show] = useState(false);
  const [at, setAt] = useState(-1);
  const [, again] = useState(0); // more people are known
  const field = useRef<HTMLInputElement>(null);
  const id = useId();
  const search = route.value.search;
  useEffect(() => setText(search), [search]);

  const found = shown ? suggestions(text) : [];
  const run = (wanted: string) => {
    const clean = wanted.trim();
    show(false);
    field.current?.blur();
    if (!clean) {
      go({ mailbox: "" });
      return;
    }
    store("searches", [clean, ...stored<string[]>("searches", []).filter((one) => one !== clean)].slice(0, RECENT));
    go({ search: clean });
  };
  const take = (one: Suggestion) => {
    setText(one.text);
    setAt(-1);
    if (one.run) run(one.text);
    else field.current?.focus();
  };
  return (
    <form
      class="search" role="search" onSubmit={(event) => {
        event.preventDefault();
        const chosen = found[at];
        if (chosen) take(chosen);
        else run(text);
      }}
    >
      <Icon name="search" />
      <input
        ref={field} type="text" enterKeyHint="search" value={text} placeholder={t("search")} aria-label={t("search")} autocomplete="off"
        spellcheck={false} role="combobox" aria-expanded={found.length > 0} aria-controls={`${id}-list`} aria-autocomplete="list"
        aria-activedescendant={at >= 0 && found[at] ? `${id}-${at}` : undefined} title={`${t("search")} (/)`}
        onFocus={() => {
          void learn().then(() => again((n) => n + 1));
          show(true);
          setAt(-1);
        }}
        onBlur={() => setTimeout(() => show(false), 150)}
        onInput={(event) => {
          setText(event.currentTarget.value);
          show(true);
          setAt(-1);
        }}
        onKeyDown={(event) => {
          if (event.key === "ArrowDown") setAt(Math.min(at + 1, found.length - 1));
          else if (event.key === "ArrowUp") setAt(Math.max(at - 1, -1));
          else if (event.key === "Tab" && found[at]) take({ ...found[at], run: false });
          else if (event.key === "Escape") {
            if (!found.length || !text) {
              setText(search);
              field.current?.blur();
            }
            show(false);
          } else return;
          event.preventDefault();
          event.stopPropagation();
        }}
      />
      {text && (
        <IconButton icon="close" label={t("search_leave")} onClick={() => {
          setText("");
          if (search) go({ mailbox: "" });
          else field.current?.focus();
        }} />
      )}
      <ul class="suggestions" id={`${id}-list`} role="listbox" aria-label={t("suggestions")} hidden={!found.length}>
        {found.map((one, n) => (
          <li
            key={one.text + one.shown} id={`${id}-${n}`} role="option" aria-selected={n === at}
            onMouseDown={(event) => {
              event.preventDefault();
              take(one);
            }}
          >
            <Icon name={one.icon} />
            <span>{one.shown}</span>
            <span class="muted">{one.hint}</span>
          </li>
        ))}
      </ul>
    </form>
  );
}
