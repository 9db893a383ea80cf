// The console starts here: who is signed in, which screen the address names, and the frame around it.
import { path, post } from "./core/api.js";
import "./core/changes.js";
import { mailed } from "./core/mailed.js";
import { clear } from "./core/resource.js";
import { currentPath, follow, match, navigate } from "./core/router.js";
import { doubted, lapsed, refreshUser, start, state, user } from "./core/session.js";
import { effect, html, render, signal, useEffect, useRef, useState } from "./core/view.js";
import { Bones, Button, Empty, Trouble } from "./ui/basics.js";
import { attempt, Confirm, confirm, toast, Toasts } from "./ui/overlays.js";
import { Shell } from "./ui/shell.js";

/** Screens by address; each is fetched when it is first asked for. @type {[string, () => Promise<{default: any}>][]} */
const SCREENS = [
  ["/", () => import("./screens/overview.js")],
  ["/machines", () => import("./screens/machines.js")],
  ["/machines/:id", () => import("./screens/machine.js")],
  ["/machines/:id/:tab", () => import("./screens/machine.js")],
  ["/projects", () => import("./screens/projects.js")],
  ["/projects/:id", () => import("./screens/project.js")],
  ["/billing", () => import("./screens/billing.js")],
  ["/billing/:tab", () => import("./screens/billing.js")],
  ["/billing/:tab/:id", () => import("./screens/billing.js")],
  ["/monitoring", () => import("./screens/monitoring.js")],
  ["/monitoring/:tab", () => import("./screens/monitoring.js")],
  ["/events", () => import("./screens/events.js")],
  ["/settings", () => import("./screens/settings.js")],
  ["/settings/:tab", () => import("./screens/settings.js")],
  ["/settings/:tab/:id", () => import("./screens/settings.js")],
  ["/admin", () => import("./screens/admin.js")],
  ["/admin/:tab", () => import("./screens/admin.js")],
  ["/admin/:tab/:id", () => import("./screens/admin.js")],
];

/** @type {import("@preact/signals").Signal<any>} */
const Gate = signal(null);

function Screen() {
  const path = currentPath.value;
  const [shown, setShown] = useState(/** @type {any} */ (null));
  const main = useRef(/** @type {HTMLElement | null} */ (null));
  const first = useRef(true);
  const found = match(SCREENS, ["/sign-up", "/forgot-password"].includes(path) ? "/" : path);
  useEffect(() => {
    if (found === null) return setShown({ path, missing: true });
    let isCurrent = true;
    found
      .value()
      .then((module) => isCurrent && setShown({ path, View: module.default, parameters: found.parameters }))
      .catch((error) => isCurrent && setShown({ path, error }));
    return () => {
      isCurrent = false;
    };
  }, [path]);
  const screen = shown?.View;
  useEffect(() => {
    if (!shown) return;
    // Who moves by keyboard or listens arrives at the new screen, not at the link that led here.
    if (!first.current) main.current?.focus({ preventScroll: true });
    first.current = false;
  }, [screen]);
  return html`<main class="screen" id="screen" tabindex="-1" ref=${main} data-path=${shown?.path}>
    ${shown === null && html`<${Bones} lines=${6} />`}
    ${shown?.missing && html`<${Empty} icon="search" title="There is nothing at this address" action=${html`<${Button} href="/">To the overview<//>`}>The link may be old, or it may belong to somebody else's account.<//>`}
    ${shown?.error && html`<${Trouble} error=${shown.error} again=${() => location.reload()} />`}
    ${screen && html`<${screen} ...${shown.parameters} />`}
  </main>`;
}

function App() {
  useEffect(() => {
    if (state.value !== "starting" && (state.value === "out" || lapsed.value || doubted.value) && Gate.value === null) {
      void import("./screens/gate.js").then((module) => {
        Gate.value = module;
      });
    }
  }, [state.value, lapsed.value, doubted.value]);
  if (state.value === "starting") return html`<main class="screen"><h1 class="visually-hidden">Zentry Cloud</h1><${Bones} lines=${6} /></main>`;
  const gate = Gate.value;
  if (state.value === "out") return html`${gate && html`<${gate.default} />`}<${Toasts} />`;
  return html`<${Shell}><${Screen} /><//>${lapsed.value && gate && html`<${gate.Again} />`}${doubted.value && gate && html`<${gate.Prove} />`}<${Confirm} /><${Toasts} />`;
}

/** Links of mails that ask for nothing more than their token. @type {Record<string, string>} */
const CONFIRMATIONS = { verify: "/auth/email/verify", "change-email": "/auth/email/confirm" };

/** Do what the link of a mail asks for. */
async function confirmMailed() {
  const link = mailed.value;
  const where = link && CONFIRMATIONS[link.what];
  if (!where) return;
  mailed.value = null;
  const done = await attempt(() => post(where, { token: link.token }, { open: true }));
  if (done === undefined) return;
  toast(done.message, "good");
  if (state.value === "in") await refreshUser();
}

/** Whoever is signed in and has come by the link of an invitation is asked whether to accept it. */
async function answerInvitation() {
  const link = mailed.value;
  if (state.value !== "in" || link?.what !== "invitation") return;
  mailed.value = null;
  const text = `You are invited to work in somebody's project, as ${user.value?.email}.`;
  if (!(await confirm({ title: "Join the project?", text, verb: "Join", danger: false }))) return;
  const project = await attempt(() => post("/invitations/accept", { token: link.token }), "You work in this project now");
  if (project) navigate(path`/projects/${project.id}`);
}

document.addEventListener("click", follow);
effect(() => void answerInvitation());
let before = "";
effect(() => {
  const now = user.value?.id ?? "";
  if (before && now !== before) clear();
  before = now;
});
render(html`<${App} />`, /** @type {HTMLElement} */ (document.getElementById("app")));
effect(() => {
  if (state.value !== "starting" && mailed.value) void confirmMailed();
});
void start();
