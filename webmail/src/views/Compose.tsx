import { lazy } from "../lib/lazy";
import { useSignalEffect } from "@preact/signals";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { size, t } from "../i18n";
import { htmlToText, plainToRich } from "../lib/text";
import { phone } from "../state/app";
import { composer, identities, type Composer } from "../state/compose";
import { gone } from "../state/mail";
import { maxDelay } from "../state/sending";
import { signatureText, signedText } from "../state/signature";
import { Icon, IconButton, MenuButton, Spinner } from "./common";
import { Later } from "./Later";
import { Recipients } from "./Recipients";

const Editor = lazy(() => import("./Editor"), () => <div class="editor-wait"><Spinner /></div>);

export default function ComposeWindow() {
  const shown = composer.value;
  return shown ? <Window key={shown.key} composer={shown} /> : null;
}

function Window({ composer: one }: { composer: Composer }) {
  const [copies, setCopies] = useState(one.cc.value.length > 0 || one.bcc.value.length > 0);
  const [large, setLarge] = useState(false);
  const [dropping, setDropping] = useState(false);
  const [later, setLater] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  const touched = () => one.touched();
  const saved = one.saved.value;
  const generation = one.version.value;

  // Another device may have gone on with it.
  useSignalEffect(() => {
    const now = gone.value;
    if (one.stored && now.has(one.stored)) void one.follow();
  });

  /** Without its form; what it looked like is kept for the way back. */
  const toPlain = () => {
    const html = one.body?.html() ?? one.html;
    one.text = one.body ? one.body.text() : htmlToText(new DOMParser().parseFromString(html, "text/html").body);
    one.rich = { html, text: one.text };
    one.body = null;
    one.plain.value = true;
    touched();
  };
  const toRich = () => {
    const text = one.body?.text() ?? one.text;
    one.html = one.rich?.text === text ? one.rich.html : plainToRich(text);
    one.rich = null;
    one.body = null;
    one.plain.value = false;
    for (const file of one.attachments.value) {
      if (file.cid && !one.html.includes(`cid:${file.cid}`)) one.files.update(file.key, { cid: null });
    }
    touched();
  };
  const keys = (event: KeyboardEvent) => {
    if ((event.ctrlKey || event.metaKey) && event.key === "Enter") {
      event.preventDefault();
      void one.send();
    } else if (event.key === "Escape" && !event.defaultPrevented) {
      event.preventDefault();
      void one.close();
    }
    event.stopPropagation();
  };
  return (
    <div
      class={`composer ${large || phone.value ? "large" : ""} ${dropping ? "dropping" : ""}`} role="dialog" aria-label={t("compose")}
      ref={box} onKeyDown={keys}
      onDragOver={(event) => {
        if (!event.dataTransfer?.types.includes("Files")) return;
        event.preventDefault();
        setDropping(true);
      }}
      onDragLeave={(event) => {
        if (!box.current?.contains(event.relatedTarget as Node)) setDropping(false);
      }}
      onDrop={(event) => {
        setDropping(false);
        const files = event.dataTransfer?.files;
        if (!files?.length) return;
        event.preventDefault();
        void one.attach([...files]);
      }}
      onPaste={(event) => {
        // What the editor has no other use for; text that comes with it (of a spreadsheet, say) goes before.
        const files = [...(event.clipboardData?.files ?? [])];
        if (event.defaultPrevented || !files.length || event.clipboardData?.types.some((type) => type.startsWith("text/"))) return;
        event.preventDefault();
        void one.attach(files);
      }}
    >
      <div class="composer-head">
        {phone.value && <IconButton icon="back" label={t("close_and_save")} onClick={() => void one.close()} />}
        <h2>{one.subject.value.trim() || t("compose")}</h2>
        <span class="muted composer-saved" role="status">
          {saved === "saving" ? t("saving") : saved === "saved" ? t("saved") : saved === "kept" ? t("saved_here") : saved === "failed" ? t("not_saved") : ""}
        </span>
        {!phone.value && (
          <>
            <IconButton icon="open" label={t(large ? "smaller" : "larger")} onClick={() => setLarge(!large)} />
            <IconButton icon="close" label={t("close_and_save")} keys="Esc" onClick={() => void one.close()} />
          </>
        )}
      </div>
      <div class="composer-fields">
        {identities.value.length > 1 && (
          <div class="recipients">
            <label for="composer-from">{t("from")}</label>
            <select id="composer-from" value={one.identity.value} onChange={(event) => one.writeAs(event.currentTarget.value)}>
              {identities.value.map((identity) => (
                <option key={identity.id} value={identity.id}>
                  {identity.name ? `${identity.name} <${identity.email}>` : identity.email}
                </option>
              ))}
            </select>
          </div>
        )}
        <Recipients
          label={t("to")} value={one.to} text={one.typed[0]} change={touched} focus={!one.focusBody}
          extra={!copies && <button type="button" class="link" onClick={() => setCopies(true)}>{t("cc_bcc")}</button>}
        />
        {copies && <Recipients label={t("cc")} value={one.cc} text={one.typed[1]} change={touched} />}
        {copies && <Recipients label={t("bcc")} value={one.bcc} text={one.typed[2]} change={touched} />}
        <div class="recipients">
          <label for="composer-subject">{t("subject")}</label>
          <input
            id="composer-subject" class="composer-subject" value={one.subject.value} maxLength={900}
            onInput={(event) => {
              one.subject.value = event.currentTarget.value;
              touched();
            }}
          />
        </div>
      </div>
      <div class="composer-body">
        {one.plain.value ? (
          <PlainText composer={one} touched={touched} key={`plain-${generation}`} />
        ) : (
          <Editor composer={one} touched={touched} label={t("message_text")} key={`rich-${generation}`} />
        )}
        <Files composer={one} />
      </div>
      {one.problem.value && <p class="problem composer-problem" role="alert">{one.problem.value}</p>}
      <footer class="composer-foot">
        <div class="split">
          <button type="button" class="button primary" disabled={one.sending.value} onClick={() => void one.send()} title={`${t("send")} (Ctrl+Enter)`}>
            <Icon name="send" /> {one.sending.value ? t("sending") : t("send")}
          </button>
          {maxDelay() > 60 && (
            <button type="button" class="button primary split-more" aria-label={t("send_later")} title={t("send_later")} onClick={() => setLater(true)}>
              <Icon name="alarm" />
            </button>
          )}
        </div>
        <label class="icon-button" title={t("attach")}>
          <Icon name="attach" />
          <input
            type="file" multiple class="sr-only" aria-label={t("attach")}
            onChange={(event) => {
              void one.attach([...(event.currentTarget.files ?? [])]);
              event.currentTarget.value = "";
            }}
          />
        </label>
        <MenuButton up icon="more" label={t("more")} items={[
          one.plain.value
            ? { label: t("to_rich"), icon: "bold", run: toRich }
            : { label: t("to_plain"), icon: "align", run: toPlain },
        ]} />
        <span class="gap" />
        <IconButton icon="trash" label={t("discard")} onClick={() => void one.discard()} />
      </footer>
      {dropping && <div class="drop-hint" aria-hidden="true"><Icon name="attach" /> {t("drop_here")}</div>}
      {later && <Later choose={(date) => void one.send(date)} close={() => setLater(false)} />}
    </div>
  );
}

function PlainText({ composer: one, touched }: { composer: Composer; touched: () => void }) {
  const field = useRef<HTMLTextAreaElement>(null);
  const signed = useRef(one.from ? signatureText(one.from) : "");
  useLayoutEffect(() => {
    const made = {
      html: () => "",
      text: () => field.current?.value ?? one.text,
      focus: () => {
        field.current?.focus();
        field.current?.setSelectionRange(0, 0);
      },
      sign: (_: string, text: string) => {
        one.text = signedText(one.text, signed.current, text);
        signed.current = text;
        if (field.current) field.current.value = one.text;
      },
    };
    one.body = made;
    if (one.focusBody) one.body.focus();
    return () => {
      if (one.body === made) one.body = null;
    };
  }, [one]);
  return (
    <textarea
      ref={field} class="plain-text" aria-label={t("message_text")} value={one.text} spellcheck
      onInput={(event) => {
        one.text = event.currentTarget.value;
        touched();
      }}
    />
  );
}

function Files({ composer: one }: { composer: Composer }) {
  const shown = one.attachments.value.filter((file) => !file.cid || one.plain.value);
  if (!shown.length) return null;
  return (
    <ul class="files" aria-label={t("attachments")}>
      {shown.map((file) => (
        <li key={file.key} class={file.error ? "file failed" : "file"}>
          <Icon name="attach" />
          <span class="file-name">{file.name}</span>
          <span class="muted">{file.error || size(file.size)}</span>
          {!file.blobId && !file.error && <progress max={1} value={file.part} aria-label={t("uploading", { name: file.name })} />}
          {file.error && file.file && (
            <button type="button" class="link" onClick={() => void one.files.again(file.key)}>{t("try_again")}</button>
          )}
          <IconButton icon="close" label={t("remove_name", { name: file.name })} onClick={() => one.files.remove(file.key)} />
        </li>
      ))}
    </ul>
  );
}
