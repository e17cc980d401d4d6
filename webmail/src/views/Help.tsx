import { t } from "../i18n";
import type { Key } from "../i18n/en";
import { help } from "../state/app";
import { Dialog } from "./common";

export const SHORTCUTS: [Key, [string[], Key][]][] = [
  ["keys_move", [
    [["j", "↓"], "next"], [["k", "↑"], "previous"], [["Enter", "o"], "key_open"], [["u", "Esc"], "key_back"],
    [["g", "i"], "key_inbox"], [["g", "s"], "key_sent"], [["g", "d"], "key_drafts"], [["g", "a"], "key_archive"],
    [["g", "f"], "key_folder"],
  ]],
  ["keys_act", [
    [["e"], "archive"], [["#", "Del"], "delete"], [["!"], "junk"], [["s"], "flag"], [["v"], "move"],
    [["Shift", "I"], "mark_read"], [["Shift", "U"], "mark_unread"], [["z"], "undo"],
  ]],
  ["keys_select", [[["x"], "key_select"], [["Shift", "↓"], "key_range"], [["*", "a"], "select_all"], [["*", "n"], "select_none"]]],
  ["keys_write", [
    [["c"], "compose"], [["r"], "reply"], [["a"], "reply_all"], [["f"], "forward"], [["Ctrl", "Enter"], "send"],
  ]],
  ["keys_other", [[["/"], "search"], [["?"], "key_help"]]],
];

export default function Help() {
  return (
    <Dialog title={t("keys_title")} close={() => (help.value = false)} wide class="help">
      <div class="help-columns">
        {SHORTCUTS.map(([title, keys]) => (
          <section key={title}>
            <h3>{t(title)}</h3>
            <dl>
              {keys.map(([names, what]) => (
                <div key={what}>
                  <dt>{names.map((name) => <kbd key={name}>{name}</kbd>)}</dt>
                  <dd>{t(what)}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </Dialog>
  );
}
