import { signal } from "@preact/signals";
import { useState } from "preact/hooks";
import { t } from "../i18n";
import type { Mailbox } from "../jmap/types";
import { mailboxes, pathOf } from "../state/mail";
import { Dialog, Icon } from "./common";

interface Wanted {
  title: string;
  top?: boolean; // "none above" can be chosen
  fits: (mailbox: Mailbox) => boolean;
}

const asked = signal<(Wanted & { answered: (mailbox: Mailbox | null | undefined) => void }) | null>(null);

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

export function MailboxPicker() {
  return asked.value ? <Picker /> : null;
}

function Picker() {
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const wanted = asked.value;
  if (!wanted) return null;
  const found = mailboxes.value
    .filter(wanted.fits)
    .map((mailbox) => ({ mailbox: mailbox as Mailbox | null, path: pathOf(mailbox) }))
    .filter(({ path }) => path.toLowerCase().includes(text.toLowerCase()));
  if (wanted.top && !text) found.unshift({ mailbox: null, path: t("folder_top") });
  const chosen = Math.min(at, found.length - 1);
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
      <ul id="picker-list" role="listbox" aria-label={t("folders")}>
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
