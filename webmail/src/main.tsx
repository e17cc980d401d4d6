import { render } from "preact";
import { setLanguage } from "./i18n";
import { preferences } from "./state/app";
import { resume } from "./state/session";
import { App } from "./views/App";
import "./style/base.css";
import "./style/parts.css";
import "./style/mail.css";
import "./style/compose.css";
import "./style/settings.css";

void resume();
void setLanguage(preferences.value.language).then(() => render(<App />, document.getElementById("app")!));

if ("serviceWorker" in navigator && import.meta.env.PROD) {
  addEventListener("load", () => void navigator.serviceWorker.register("/sw.js").catch(() => undefined));
}
