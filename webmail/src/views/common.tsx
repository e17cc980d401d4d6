import type { ComponentChildren, ComponentProps } from "preact";
import { useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { t } from "../i18n";
import type { Address } from "../jmap/types";
import { hueOf, initials } from "../lib/address";
import { actOnNotice, notice, question, settleNotice } from "../state/app";

/** Drawn on a grid of 24 with a line of 1.75. */
const ICONS = {
  alarm: "M12 7.5v5l3 2M12 21a8.5 8.5 0 1 0 0-17 8.5 8.5 0 0 0 0 17ZM4 3.5 2 5.5M20 3.5l2 2",
  align: "M4 6h16M4 12h10M4 18h13",
  archive: "M4 4.5h16a1 1 0 0 1 1 1V8H3V5.5a1 1 0 0 1 1-1ZM4.5 8v10.5a1 1 0 0 0 1 1h13a1 1 0 0 0 1-1V8M10 12h4",
  attach: "m20 11.5-8.2 8.2a5 5 0 0 1-7.1-7.1l8.6-8.6a3.3 3.3 0 0 1 4.7 4.7l-8.5 8.5a1.7 1.7 0 0 1-2.4-2.4l7.7-7.7",
  back: "M19 12H5m6.5-6.5L5 12l6.5 6.5",
  bell: "M18 9a6 6 0 1 0-12 0c0 6-2.5 7-2.5 7h17S18 15 18 9ZM10 20a2.2 2.2 0 0 0 4 0",
  bold: "M7 5h6a3.5 3.5 0 0 1 0 7H7zm0 7h7a3.5 3.5 0 0 1 0 7H7z",
  bullets: "M9 6h11M9 12h11M9 18h11M4.5 6h.01M4.5 12h.01M4.5 18h.01",
  calendar: "M5 5h14a1 1 0 0 1 1 1v13a1 1 0 0 1-1 1H5a1 1 0 0 1-1-1V6a1 1 0 0 1 1-1ZM4 10h16M8 3v4M16 3v4",
  check: "m5 12.5 4.5 4.5L19 7.5",
  chevron: "m9 6 6 6-6 6",
  close: "M6 6l12 12M18 6 6 18",
  code: "m8 7-5 5 5 5M16 7l5 5-5 5",
  download: "M12 4v11m-4.5-4.5L12 15l4.5-4.5M5 19.5h14",
  drafts: "M14 4H6a1 1 0 0 0-1 1v14a1 1 0 0 0 1 1h12a1 1 0 0 0 1-1V9zM14 4v5h5M9 13h6M9 16.5h4",
  edit: "M4 20h4L19.5 8.5a2.1 2.1 0 0 0-3-3L5 17zM14 7.5l3 3",
  eye: "M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12ZM12 15a3 3 0 1 0 0-6 3 3 0 0 0 0 6Z",
  folder: "M3.5 6a1 1 0 0 1 1-1h5l2 2.5h8a1 1 0 0 1 1 1V18a1 1 0 0 1-1 1h-15a1 1 0 0 1-1-1z",
  forward: "M14 5.5 20.5 12 14 18.5M20 12H9a5.5 5.5 0 0 0-5.5 5.5V19",
  grip: "M9 5.5h.01M15 5.5h.01M9 12h.01M15 12h.01M9 18.5h.01M15 18.5h.01",
  help: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM9.5 9.5a2.5 2.5 0 1 1 3.6 2.2c-.8.4-1.1.9-1.1 1.8M12 16.8v.01",
  image: "M5 4h14a1 1 0 0 1 1 1v14a1 1 0 0 1-1 1H5a1 1 0 0 1-1-1V5a1 1 0 0 1 1-1ZM9 10a1.5 1.5 0 1 0 0-3 1.5 1.5 0 0 0 0 3ZM20 15l-4.5-4.5L6 20",
  inbox: "M3.5 13.5 6 5.5a1 1 0 0 1 1-.7h10a1 1 0 0 1 1 .7l2.5 8V18a1 1 0 0 1-1 1h-15a1 1 0 0 1-1-1zM3.5 13.5H8l1.5 2.5h5l1.5-2.5h4.5",
  italic: "M10 5h7M7 19h7M14 5l-4 14",
  junk: "M8.3 3.5h7.4l4.8 4.8v7.4l-4.8 4.8H8.3l-4.8-4.8V8.3zM12 8v5M12 16.2v.01",
  key: "M14.5 13a5 5 0 1 0-4.2-2.3L3.5 17.5V20.5H7V18h2.5v-2.5h2l1-1",
  lock: "M6 11h12a1 1 0 0 1 1 1v7a1 1 0 0 1-1 1H6a1 1 0 0 1-1-1v-7a1 1 0 0 1 1-1ZM8 11V8a4 4 0 0 1 8 0v3",
  link: "M10 14a4 4 0 0 0 5.7 0l3-3A4 4 0 0 0 13 5.3l-1 1M14 10a4 4 0 0 0-5.7 0l-3 3A4 4 0 0 0 11 18.7l1-1",
  mail: "M4 5.5h16a1 1 0 0 1 1 1v11a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1v-11a1 1 0 0 1 1-1ZM3.5 7 12 13l8.5-6",
  menu: "M4 6.5h16M4 12h16M4 17.5h16",
  more: "M5.5 12h.01M12 12h.01M18.5 12h.01",
  move: "M3.5 6a1 1 0 0 1 1-1h5l2 2.5h8a1 1 0 0 1 1 1V18a1 1 0 0 1-1 1h-15a1 1 0 0 1-1-1zM9 13.2h6m-2.3-2.5 2.5 2.5-2.5 2.5",
  numbers: "M10 6h10M10 12h10M10 18h10M4 4.5l1.5-1V9M3.8 14c.2-1.5 2.7-1.5 2.7.1 0 1.2-2.7 2-2.7 3.4h2.9",
  open: "M13.5 4.5h6v6M19.5 4.5 11 13M17 14v4.5a1 1 0 0 1-1 1H5.5a1 1 0 0 1-1-1V8a1 1 0 0 1 1-1H10",
  palette: "M12 3.5a8.5 8.5 0 1 0 0 17c1.5 0 2-1 1.5-2s-.2-2.5 1.5-2.5h2.5c2 0 3-1.7 3-3.5 0-5-3.8-9-8.5-9ZM7.5 12.5v.01M9.5 8v.01M14.5 8v.01",
  person: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8ZM4.5 20c.5-4 3.5-6 7.5-6s7 2 7.5 6",
  plus: "M12 5v14M5 12h14",
  print: "M7 9V4h10v5M7 17H5a1 1 0 0 1-1-1v-6a1 1 0 0 1 1-1h14a1 1 0 0 1 1 1v6a1 1 0 0 1-1 1h-2M7 14.5h10V20H7z",
  quote: "M5 6v12M9 8h10M9 12h8M9 16h10",
  refresh: "M19.5 8A8 8 0 1 0 20 13.5M20 4v4.5h-4.5",
  reply: "M10 5.5 3.5 12l6.5 6.5M4 12h11a5.5 5.5 0 0 1 5.5 5.5V19",
  replyAll: "M7 5.5.8 12 7 18.5M13 5.5 6.5 12l6.5 6.5M7 12h9a5.5 5.5 0 0 1 5.5 5.5V19",
  rules: "M4 5h16l-6.2 7.4v5.8l-3.6 1.8v-7.6z",
  search: "M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14ZM16 16l4.5 4.5",
  send: "M20.5 3.5 3.5 10.5l7 3 3 7zM20.5 3.5l-10 10",
  sent: "M20.5 3.5 3.5 10.5l7 3 3 7zM20.5 3.5l-10 10",
  settings: "M12 15.2a3.2 3.2 0 1 0 0-6.4 3.2 3.2 0 0 0 0 6.4ZM19 13.5l1.8 1.2-2 3.4-2-.8a7 7 0 0 1-2.4 1.4L14 21h-4l-.4-2.3a7 7 0 0 1-2.4-1.4l-2 .8-2-3.4L5 13.5a7 7 0 0 1 0-3L3.2 9.3l2-3.4 2 .8a7 7 0 0 1 2.4-1.4L10 3h4l.4 2.3a7 7 0 0 1 2.4 1.4l2-.8 2 3.4L19 10.5a7 7 0 0 1 0 3Z",
  signout: "M14 4.5H6a1 1 0 0 0-1 1v13a1 1 0 0 0 1 1h8M10 12h10.5m-4-4 4 4-4 4",
  star: "m12 3.8 2.5 5.3 5.7.8-4.1 4.1 1 5.8-5.1-2.8-5.1 2.8 1-5.8L3.8 9.9l5.7-.8z",
  strike: "M5 12h14M16.5 7.5C16 5.5 14 5 12 5c-2.5 0-4.5 1.2-4.5 3.3M7.5 16c.5 2 2.5 3 4.7 3 2.6 0 4.5-1.2 4.5-3.5 0-.7-.2-1.3-.5-1.8",
  trash: "M4.5 6.5h15M9.5 6.5v-2h5v2M6.5 6.5l.8 13h9.4l.8-13M10 10.5v5.5M14 10.5v5.5",
  underline: "M7 4.5v7a5 5 0 0 0 10 0v-7M5.5 20h13",
  unread: "M4 5.5h10M21 10v7.5a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1v-11a1 1 0 0 1 1-1M3.5 7 12 13l4.5-3.2M19 7.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5Z",
  vacation: "M4 20h16M12 20V9M12 9c0-3-2.5-5-5.5-4.5M12 9c0-3 2.5-5 5.5-4.5M12 9C9 7.5 6 8.5 4.5 11M12 9c3-1.5 6-.5 7.5 2",
} as const;

export type IconName = keyof typeof ICONS;

export function Icon({ name, filled }: { name: IconName; filled?: boolean }) {
  return (
    <svg class={filled ? "icon filled" : "icon"} viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={ICONS[name]} class={name === "more" ? "dots" : undefined} />
    </svg>
  );
}

/** The sign of Postillon. Drawn here, and not a file that is asked for. */
export function Mark({ size }: { size: number }) {
  return (
    <svg class="mark" viewBox="0 0 64 64" width={size} height={size} aria-hidden="true" focusable="false">
      <rect width="64" height="64" rx="14" fill="#17456f" />
      <path d="M13 22.5c0-2 1.6-3.5 3.5-3.5h31c2 0 3.5 1.6 3.5 3.5v19c0 2-1.6 3.5-3.5 3.5h-31c-2 0-3.5-1.6-3.5-3.5z" fill="#f6c445" />
      <path d="M14.5 21.5 32 35l17.5-13.5" fill="none" stroke="#17456f" stroke-width="3.6" stroke-linecap="round" stroke-linejoin="round" />
    </svg>
  );
}

type ButtonProps = Omit<ComponentProps<"button">, "icon" | "label"> & {
  icon: IconName;
  label: string;
  filled?: boolean;
  pressed?: boolean;
  keys?: string;
};

/** A button that only shows its picture; its name is for the pointer and for screen readers. */
export function IconButton({ icon, label, filled, pressed, keys, class: more, ...rest }: ButtonProps) {
  return (
    <button
      type="button" class={`icon-button ${more ?? ""}`} aria-label={label} title={keys ? `${label} (${keys})` : label}
      aria-pressed={pressed} {...rest}
    >
      <Icon name={icon} filled={filled ?? pressed ?? false} />
    </button>
  );
}

export function Avatar({ address, small }: { address: Address | undefined; small?: boolean }) {
  return (
    <span class={`avatar hue-${hueOf(address)} ${small ? "small" : ""}`} aria-hidden="true">
      {initials(address)}
    </span>
  );
}

export function Spinner() {
  return <span class="spinner" role="status" aria-label={t("loading")} />;
}

// Menus --------------------------------------------------------------------------------------------

export interface Item {
  label: string;
  icon?: IconName;
  run: () => void;
  danger?: boolean;
  checked?: boolean;
}

/** A button with a menu under it (WAI-ARIA menu button pattern). */
export function MenuButton(props: {
  label: string; icon?: IconName; items: (Item | null)[]; text?: ComponentChildren; class?: string; up?: boolean;
}) {
  const [shown, show] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const id = useId();
  useEffect(() => {
    if (!shown) return;
    box.current?.querySelector<HTMLElement>("[role^=menuitem]")?.focus();
    const away = (event: Event) => {
      if (!box.current?.parentElement?.contains(event.target as Node)) show(false);
    };
    document.addEventListener("pointerdown", away);
    return () => document.removeEventListener("pointerdown", away);
  }, [shown]);
  useLayoutEffect(() => {
    const menu = box.current;
    if (!shown || !menu) return;
    const place = menu.getBoundingClientRect();
    if (place.left < 8) menu.classList.add("to-right");
    if (place.bottom > innerHeight - 8 && place.top > place.height) menu.classList.add("up");
  }, [shown]);
  const close = () => {
    show(false);
    button.current?.focus();
  };
  const keys = (event: KeyboardEvent) => {
    const items = [...(box.current?.querySelectorAll<HTMLElement>("[role^=menuitem]") ?? [])];
    const at = items.indexOf(document.activeElement as HTMLElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 }[event.key];
    if (to !== undefined) items[(to + items.length) % items.length]?.focus();
    else if (event.key === "Escape") close();
    else if (event.key === "Tab") show(false);
    else if (event.key.length === 1) {
      items.find((one) => one.textContent?.trim().toLowerCase().startsWith(event.key.toLowerCase()))?.focus();
    } else return;
    event.stopPropagation();
    if (event.key !== "Tab") event.preventDefault();
  };
  return (
    <div class={`menu-box ${props.class ?? ""}`}>
      <button
        type="button" ref={button} class={props.text ? "button quiet" : "icon-button"} aria-haspopup="menu" aria-expanded={shown}
        aria-controls={shown ? id : undefined} aria-label={props.text ? undefined : props.label}
        title={props.label} onClick={() => show(!shown)}
      >
        {props.icon && <Icon name={props.icon} />}
        {props.text && <span class="sr-only">{props.label}: </span>}
        {props.text}
      </button>
      {shown && (
        <div class={props.up ? "menu up" : "menu"} role="menu" id={id} aria-label={props.label} ref={box} onKeyDown={keys}>
          {props.items.map((item, n) =>
            item === null ? (
              <hr key={n} />
            ) : (
              <button
                type="button" key={n} role={item.checked === undefined ? "menuitem" : "menuitemcheckbox"} tabIndex={-1}
                class={item.danger ? "danger" : ""} aria-checked={item.checked}
                onClick={() => {
                  close();
                  item.run();
                }}
              >
                {item.checked !== undefined ? (
                  <span class="tick">{item.checked && <Icon name="check" />}</span>
                ) : (
                  item.icon && <Icon name={item.icon} />
                )}
                <span>{item.label}</span>
              </button>
            ),
          )}
        </div>
      )}
    </div>
  );
}

// Dialogs ------------------------------------------------------------------------------------------

export function Dialog(props: {
  title: string; close: () => void; children: ComponentChildren; class?: string; wide?: boolean;
}) {
  const box = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    const dialog = box.current;
    dialog?.showModal();
    return () => {
      dialog?.close();
      before?.focus?.();
    };
  }, []);
  return (
    <dialog
      ref={box} class={`dialog ${props.wide ? "wide" : ""} ${props.class ?? ""}`} aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        props.close();
      }}
      onKeyDown={(event) => event.stopPropagation()}
      onClick={(event) => {
        if (event.target === box.current) props.close();
      }}
    >
      <div class="dialog-inner">
        <header role="presentation">
          <h2 id={id}>{props.title}</h2>
          <IconButton icon="close" label={t("close")} onClick={props.close} />
        </header>
        {props.children}
      </div>
    </dialog>
  );
}

/** What comes in from the side of a narrow screen. Behind it nothing can be reached, but for dialogs and notices. */
export function Drawer(props: { label: string; title: string; close: () => void; children: ComponentChildren }) {
  const box = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    const others = [...(box.current?.parentElement?.children ?? [])] as HTMLElement[];
    const behind = others.filter((one) => one !== box.current && !one.matches("dialog, .notices"));
    for (const one of behind) one.inert = true;
    box.current?.querySelector<HTMLElement>(".drawer-head button")?.focus();
    return () => {
      for (const one of behind) one.inert = false;
      before?.focus?.();
    };
  }, []);
  return (
    <div
      class="drawer" ref={box}
      onClick={(event) => {
        if (event.target === event.currentTarget) props.close();
      }}
      onKeyDown={(event) => {
        if (event.key === "Escape") props.close();
      }}
    >
      <div class="drawer-inner" role="dialog" aria-modal="true" aria-label={props.label}>
        <div class="drawer-head">
          <Mark size={28} />
          <strong>{props.title}</strong>
          <IconButton icon="close" label={t("close")} onClick={props.close} />
        </div>
        {props.children}
      </div>
    </div>
  );
}

export function QuestionDialog() {
  const asked = question.value;
  const [value, setValue] = useState("");
  useEffect(() => setValue(asked?.input?.value ?? ""), [asked]);
  if (!asked) return null;
  return (
    <Dialog title={asked.title} close={() => asked.answered(null)}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          asked.answered(value);
        }}
      >
        {asked.text && <p>{asked.text}</p>}
        {asked.input && (
          <Field label={asked.input.label}>
            {(id) => (
              <input id={id} value={value} required autofocus onInput={(event) => setValue(event.currentTarget.value)} />
            )}
          </Field>
        )}
        <footer>
          <button type="button" class="button quiet" onClick={() => asked.answered(null)}>{t("cancel")}</button>
          <button type="submit" class={asked.danger ? "button danger" : "button primary"}>{asked.yes}</button>
        </footer>
      </form>
    </Dialog>
  );
}

export function NoticeBar() {
  const said = notice.value;
  return (
    <div class="notices" role="status" aria-live="polite">
      {said && (
        <div class={said.error ? "notice error" : "notice"}>
          <span>{said.text}</span>
          {said.action && (
            <button type="button" class="notice-action" onClick={actOnNotice}>{said.action.label}</button>
          )}
          <IconButton icon="close" label={t("close")} onClick={settleNotice} />
        </div>
      )}
    </div>
  );
}

// Forms --------------------------------------------------------------------------------------------

export function Field(props: {
  label: string; hint?: string | undefined; error?: string | undefined; children: (id: string) => ComponentChildren;
}) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{props.label}</label>
      {props.children(id)}
      {props.hint && <p class="hint">{props.hint}</p>}
      {props.error && <p class="problem" role="alert">{props.error}</p>}
    </div>
  );
}

export function Check(props: { label: string; hint?: string; checked: boolean; change: (on: boolean) => void }) {
  const id = useId();
  return (
    <div class="check">
      <input
        type="checkbox" id={id} checked={props.checked} onChange={(event) => props.change(event.currentTarget.checked)}
      />
      <label for={id}>
        {props.label}
        {props.hint && <span class="hint">{props.hint}</span>}
      </label>
    </div>
  );
}
