import { render } from "preact";
import { setLanguage } from "../i18n";
import { begun } from "../lib/early";
import { preferences } from "../state/app";
import "../style/base.css";
import "../style/parts.css";
import "../style/settings.css";
import "../style/admin.css";
import { App } from "./App";
import { resume } from "./state";
import { loadTexts } from "./text";

const { language } = preferences.value;

/** Until it is known who is there, the page shows what stands in its HTML. */
void Promise.allSettled([begun.then(resume), setLanguage(language), loadTexts(language)]).then(() => {
  const app = document.getElementById("app")!;
  app.replaceChildren();
  render(<App />, app);
});
