import { render } from "preact";
import { setLanguage } from "./i18n";
import { begun } from "./lib/early";
import { preferences } from "./state/app";
import { firstRows } from "./state/list";
import { resume } from "./state/session";
import { App } from "./views/App";
import "./style/base.css";
import "./style/parts.css";
import "./style/mail.css";
import "./style/compose.css";
import "./style/settings.css";

const WORKER_MS = 3_000; // the service worker fetches the whole shell once more: not while the list comes

const PATIENCE_MS = 300; // drawn once with its rows, rather than first without them

/** Until it is known who is there, the page shows what stands in its HTML. */
void Promise.allSettled([begun.then(resume).then(() => firstRows(PATIENCE_MS)), setLanguage(preferences.value.language)]).then(() => {
  const app = document.getElementById("app")!;
  app.replaceChildren();
  render(<App />, app);
});

if ("serviceWorker" in navigator && import.meta.env.PROD) {
  const register = () => void navigator.serviceWorker.register("/sw.js").catch(() => undefined);
  addEventListener("load", () => setTimeout(register, navigator.serviceWorker.controller ? 0 : WORKER_MS));
}
