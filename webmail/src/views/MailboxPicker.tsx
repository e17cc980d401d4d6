import { signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { t } from "../i18n";
import type { Mailbox } from "../jmap/types";
import { go } from "../state/app";
import { mailboxes, pathOf } from "../state/mail";
import { Dialog, Icon } from "./common";

interface Wanted {
  title: string;
  top?: boolean; // "none above" can be chosen
  fits: (mailbox: Mailbox) => boolean;
}

type Asked = Wanted & { answered: (mailbox: Mailbox | null | undefined) => void };
const asked = signal<Asked | null>(null);

/** A mailbox; null for the top; undefined where nothing was chosen. */
export function chooseMailbox(wanted: Wanted): Promise<Mailbox | null | undefined> {
  return new Promise((resolve) => {
    asked.value = {
      ...wanted,
      answered: (mailbox) => {
        asked.value = null;
        resolve(mailbox);
      },
    };
  });
}

/** By a part of its name, where there are too many to look through. */
export async function goToMailbox(): Promise<void> {
  const found = await chooseMailbox({ title: t("key_folder"), fits: () => true });
  if (found) go({ mailbox: found.role === "inbox" ? "" : found.id });
}

export function MailboxPicker() {
  return asked.value ? <Picker wanted={asked.value} /> : null;
}

function Picker({ wanted }: { wanted: Asked }) {
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const list = useRef<HTMLUListElement>(null);
  const words = text.toLowerCase().split(/[\s/]+/).filter(Boolean);
  const found = mailboxes.value
    .filter(wanted.fits)
    .map((mailbox) => ({ mailbox: mailbox as Mailbox | null, path: pathOf(mailbox) }))
    .filter(({ path }) => words.every((word) => path.toLowerCase().includes(word)));
  if (words.length) found.sort((a, b) => a.path.length - b.path.length); // its own name before those below it
  if (wanted.top && !text) found.unshift({ mailbox: null, path: t("folder_top") });
  const chosen = Math.min(at, found.length - 1);
  useEffect(() => list.current?.children[chosen]?.scrollIntoView({ block: "nearest" }), [chosen]);
  return (
    <Dialog title={wanted.title} close={() => wanted.answered(undefined)} class="picker">
      <input
        role="combobox" aria-expanded="true" aria-controls="picker-list" aria-activedescendant={`picker-${chosen}`}
        aria-label={t("folder_find")} placeholder={t("folder_find")} value={text} autofocus
        onInput={(event) => {
          setText(event.currentTarget.value);
          setAt(0);
        }}
        onKeyDown={(event) => {
          if (event.key === "ArrowDown") setAt(Math.min(chosen + 1, found.length - 1));
          else if (event.key === "ArrowUp") setAt(Math.max(chosen - 1, 0));
          else if (event.key === "Enter" && found[chosen]) wanted.answered(found[chosen].mailbox);
          else return;
          event.preventDefault();
        }}
      />
      <ul id="picker-list" ref={list} role="listbox" aria-label={t("folders")}>
        {found.map(({ mailbox, path }, n) => (
          <li
            key={mailbox?.id ?? ""} id={`picker-${n}`} role="option" aria-selected={n === chosen}
            onClick={() => wanted.answered(mailbox)} onPointerMove={() => setAt(n)}
          >
            <Icon name="folder" /> {path}
          </li>
        ))}
        {!found.length && <li class="muted" role="option" aria-selected="false" aria-disabled="true">{t("nothing_found")}</li>}
      </ul>
    </Dialog>
  );
}
