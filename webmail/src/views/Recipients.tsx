import type { Signal } from "@preact/signals";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { t } from "../i18n";
import type { Address } from "../jmap/types";
import { nameOf, parseAddresses, unique, written } from "../lib/address";
import { complete, still } from "../state/people";
import { Avatar, Icon } from "./common";

/** A line of addresses: typed, pasted, completed from past mail, moved by drag. */
export function Recipients(props: {
  label: string; value: Signal<Address[]>; text: Signal<string>; change: () => void; focus?: boolean; extra?: preact.ComponentChildren;
}) {
  const { value } = props;
  const text = props.text.value;
  const setText = (typed: string) => (props.text.value = typed);
  const [answer, setAnswer] = useState<Address[]>([]);
  const [chosen, setAt] = useState(0);
  const found = still(text, answer); // the answer may be to fewer letters
  const at = Math.min(chosen, Math.max(0, found.length - 1));
  const field = useRef<HTMLInputElement>(null);
  const id = useId();
  const asked = useRef(0);

  useEffect(() => {
    if (props.focus) field.current?.focus();
  }, []);
  useEffect(() => {
    const n = ++asked.current;
    if (!text.trim()) {
      setAnswer([]);
      return;
    }
    const timer = setTimeout(() => {
      void complete(text, value.value).then((list) => {
        if (n === asked.current) {
          setAnswer(list);
          setAt(0);
        }
      });
    }, 60);
    return () => clearTimeout(timer);
  }, [text]);

  const add = (addresses: Address[], rest = "") => {
    if (addresses.length) {
      value.value = unique([...value.value, ...addresses]);
      props.change();
    }
    setText(rest);
    setAnswer([]);
  };
  const take = (input: string): void => {
    const { found: parsed, rest } = parseAddresses(input);
    add(parsed, rest);
  };
  const removeAt = (n: number) => {
    value.value = value.value.filter((_, other) => other !== n);
    props.change();
    field.current?.focus();
  };
  const keys = (event: KeyboardEvent & { currentTarget: HTMLInputElement }) => {
    if (found.length && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      setAt((at + (event.key === "ArrowDown" ? 1 : found.length - 1)) % found.length);
    } else if ((event.key === "Enter" || event.key === "Tab") && found[at] && text.trim()) {
      add([found[at]]);
    } else if ((event.key === "Enter" || event.key === "," || event.key === ";") && text.trim()) {
      take(text);
    } else if (event.key === "Backspace" && !text && value.value.length) {
      removeAt(value.value.length - 1);
    } else if (event.key === "Escape" && found.length) {
      setAnswer([]);
      event.stopPropagation();
    } else {
      return;
    }
    if (event.key !== "Tab" || text) event.preventDefault();
  };
  return (
    <div
      class="recipients" onClick={(event) => {
        if (event.target === event.currentTarget) field.current?.focus();
      }}
      onDragOver={(event) => {
        if (event.dataTransfer?.types.includes("text/x-address")) event.preventDefault();
      }}
      onDrop={(event) => {
        const given = event.dataTransfer?.getData("text/x-address");
        if (!given) return;
        event.preventDefault();
        add(JSON.parse(given) as Address[]);
      }}
    >
      <label for={id}>{props.label}</label>
      <div class="recipient-list">
        {value.value.map((address, n) => (
          <span
            class="recipient" key={address.email} title={written(address)} draggable
            onDragStart={(event) => event.dataTransfer?.setData("text/x-address", JSON.stringify([address]))}
            onDragEnd={(event) => {
              if (event.dataTransfer?.dropEffect !== "none") removeAt(n);
            }}
          >
            <span class="recipient-name">{nameOf(address)}</span>
            <button type="button" aria-label={t("remove_name", { name: nameOf(address) })} onClick={() => removeAt(n)}>
              <Icon name="close" />
            </button>
          </span>
        ))}
        <div class="recipient-input">
          <input
            ref={field} id={id} value={text} autocomplete="off" autocapitalize="off" spellcheck={false} inputMode="email"
            role="combobox" aria-expanded={found.length > 0} aria-controls={`${id}-list`} aria-autocomplete="list"
            aria-activedescendant={found.length ? `${id}-${at}` : undefined}
            onInput={(event) => {
              setText(event.currentTarget.value);
              props.change();
            }} onKeyDown={keys}
            onPaste={(event) => {
              const pasted = event.clipboardData?.getData("text/plain") ?? "";
              if (/@.*[,;\n]|<[^>]+@|\S+@\S+\s+\S+@|^mailto:/s.test(pasted.trim())) {
                event.preventDefault();
                take(`${text}${pasted}`);
              }
            }}
            onBlur={() => setTimeout(() => {
              setAnswer([]);
              if (field.current && field.current.value.trim()) take(field.current.value);
            }, 150)}
          />
          <ul class="suggestions" id={`${id}-list`} role="listbox" aria-label={t("suggestions")} hidden={!found.length}>
            {found.map((address, n) => (
              <li
                key={address.email} id={`${id}-${n}`} role="option" aria-selected={n === at}
                onMouseDown={(event) => {
                  event.preventDefault();
                  add([address]);
                }}
              >
                <Avatar address={address} small />
                <span>{nameOf(address)}</span>
                {address.name && <span class="muted">{address.email}</span>}
              </li>
            ))}
          </ul>
        </div>
      </div>
      {props.extra}
    </div>
  );
}
