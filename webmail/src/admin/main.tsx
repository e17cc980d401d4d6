import { render } from "preact";
import { setLanguage } from "../i18n";
import { preferences } from "../state/app";
import "../style/base.css";
import "../style/parts.css";
import "../style/settings.css";
import "../style/admin.css";
import { App } from "./App";
import { resume } from "./state";
import { loadTexts } from "./text";

void Promise.all([setLanguage(preferences.value.language), loadTexts(preferences.value.language)]).then(() => {
  render(<App />, document.getElementById("app")!);
  return resume();
});
