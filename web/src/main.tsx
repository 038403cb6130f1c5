import { options, render } from "preact";
import { Controller } from "./controller";
import { loadSettings, saveSettings } from "./store/settings";
import { BrowserStorage } from "./store/storage";
import { App } from "./ui/app";
import { ControllerContext } from "./ui/hooks";
import "./style/theme.css";
import "./style/layout.css";
import "./style/thread.css";
import "./style/composer.css";
import "./style/panel.css";
import "./style/contexts.css";
import "./style/prose.css";

// Tokens may come faster than the screen is drawn.
options.debounceRendering = (draw) => void setTimeout(draw, 16);

/** Also where crypto.randomUUID is missing: pages served without TLS to another machine. */
function newId(): string {
  return [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

const controller = new Controller(
  {
    storage: new BrowserStorage(indexedDB),
    send: (input, init) => fetch(input, init),
    now: () => Date.now(),
    newId,
    saveSettings: (settings) => saveSettings(localStorage, settings),
  },
  loadSettings(localStorage),
);
void controller.load();
void controller.connect();
// Contexts may have been made or deleted elsewhere meanwhile.
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible" && controller.state.value.server) void controller.contexts.refresh();
});

const root = document.getElementById("app");
if (root) {
  render(
    <ControllerContext.Provider value={controller}>
      <App />
    </ControllerContext.Provider>,
    root,
  );
}
