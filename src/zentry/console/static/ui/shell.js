// The frame: places at the side or the bottom, search, the balance, the person.
import { online } from "../core/api.js";
import { money } from "../core/format.js";
import { Icon } from "../core/icons.js";
import { helpOpen, shortcut, shortcuts } from "../core/keys.js";
import { mode } from "../core/live.js";
import { prefer, theme } from "../core/preferences.js";
import { useResource } from "../core/resource.js";
import { currentPath, link, navigate } from "../core/router.js";
import { isAdmin, signOut, user } from "../core/session.js";
import { html, signal, useEffect, useMemo, useRef, useState } from "../core/view.js";

import { Dialog, Menu } from "./overlays.js";

/** Path, icon, name, second key of its shortcut. @type {[string, string, string, string][]} */
const PLACES = [
  ["/", "overview", "Overview", "o"],
  ["/machines", "machine", "Machines", "m"],
  ["/projects", "project", "Projects", "p"],
  ["/billing", "billing", "Billing", "b"],
  ["/monitoring", "chart", "Monitoring", "c"],
  ["/events", "event", "Events", "e"],
  ["/settings", "settings", "Settings", "s"],
];
const ADMIN = /** @type {[string, string, string, string]} */ (["/admin", "admin", "Administration", "a"]);
const IN_BOTTOM_BAR = 4;
const MOST_FOUND = 12;
const LOW_BALANCE = 5;

const searching = signal(false);
/** @param {boolean} open */
export const search = (open) => {
  searching.value = open;
};

const places = () => (isAdmin.value ? [...PLACES, ADMIN] : PLACES);

/** @param {string} href @param {string} path */
const isHere = (href, path) => (href === "/" ? path === "/" : path === href || path.startsWith(`${href}/`));

export const Logo = () => html`<svg class="logo" viewBox="0 0 32 32" aria-hidden="true"><rect width="32" height="32" rx="8" fill="var(--accent)" /><path d="M9 10h14L9 22h14" fill="none" stroke="var(--on-accent)" stroke-width="3" stroke-linecap="round" stroke-linejoin="round" /></svg>`;

/** @param {{children?: any}} properties */
export function Shell({ children }) {
  const path = currentPath.value;
  useShortcuts();
  return html`<a class="button skip" href="#screen" onClick=${toScreen}>Skip to content</a>
    <div class="frame-app">
      <nav class="side" aria-label="Places">
        <a class="brand" href=${link("/")}><${Logo} />Zentry Cloud</a>
        ${places().map(([href, icon, name]) => html`<a class="place" key=${href} href=${link(href)} aria-current=${isHere(href, path) ? "page" : undefined}><${Icon} name=${icon} />${name}</a>`)}
        <div class="bottom"><${Status} /><a class="faint" href=${`${document.body.dataset.root ?? ""}/docs`}>API reference</a></div>
      </nav>
      <div class="main">
        ${!online.value && html`<div class="offline" role="status"><${Icon} name="alert" />The server cannot be reached. This page goes on by itself when it is back.</div>`}
        <header class="topbar">
          <button type="button" class="button find" aria-label="Search and commands" onClick=${() => search(true)}><${Icon} name="search" /><span>Search machines and places</span><kbd>/</kbd></button>
          <span class="grow"></span>
          <${Balance} />
          <${Person} />
        </header>
        ${children}
      </div>
      <nav class="bottom-bar" aria-label="Places">
        ${PLACES.slice(0, IN_BOTTOM_BAR).map(([href, icon, name]) => html`<a key=${href} href=${link(href)} aria-current=${isHere(href, path) ? "page" : undefined}><${Icon} name=${icon} />${name}</a>`)}
        <button type="button" onClick=${() => search(true)}><${Icon} name="menu" />More</button>
      </nav>
    </div>
    ${searching.value && html`<${Palette} />`} ${helpOpen.value && html`<${Help} />`}`;
}

function Status() {
  const live = mode.value === "live";
  return html`<span class="row small" role="status"><${Icon} name=${live ? "bolt" : "refresh"} />${live ? "Changes arrive live" : "Refreshes every few seconds"}</span>`;
}

function Balance() {
  const credits = useResource("/billing/credits", { every: 15 }).data;
  const available = credits?.available_credits ?? user.value?.credits ?? 0;
  const low = available < LOW_BALANCE;
  return html`<a class="pill" href=${link("/billing")} title=${credits ? `${money(credits.held_credits)} of ${money(credits.current_credits)} are held for running machines` : undefined}>
    <${Icon} name=${low ? "alert" : "billing"} /><span class="visually-hidden">Available credit: </span><span class=${low ? "bad" : ""}>${money(available, { digits: 2 })}</span></a>`;
}

function Person() {
  const name = user.value?.name ?? "";
  const initials = name.split(/\s+/).map((part) => part[0] ?? "").slice(0, 2).join("").toUpperCase();
  const dark = theme.value === "dark" || (theme.value === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
  return html`<${Menu}
    label=${`Account of ${name}`}
    kind="bare square"
    trigger=${html`<span class="avatar" aria-hidden="true">${initials || html`<${Icon} name="user" />`}</span>`}
    items=${[
      { icon: "user", label: "Profile", href: link("/settings") },
      { icon: dark ? "sun" : "moon", label: dark ? "Light theme" : "Dark theme", does: () => prefer("theme", dark ? "light" : "dark") },
      { icon: "info", label: "Keyboard shortcuts", does: () => (helpOpen.value = true) },
      null,
      { icon: "out", label: "Sign out", does: () => void signOut() },
    ]}
  />`;
}

/** @param {Event} event */
function toScreen(event) {
  event.preventDefault();
  document.getElementById("screen")?.focus();
}

function useShortcuts() {
  useEffect(() => {
    const taken = [
      shortcut("/", "Search machines and places", () => search(true)),
      shortcut("?", "Show the keyboard shortcuts", () => (helpOpen.value = true)),
      shortcut("c", "Create a machine", () => navigate("/machines?create=1")),
      ...places().map(([href, , name, key]) => shortcut(`g ${key}`, `Go to ${name.toLowerCase()}`, () => navigate(href))),
    ];
    return () => taken.forEach((back) => back());
  }, [isAdmin.value]);
}

function Help() {
  const close = () => (helpOpen.value = false);
  return html`<${Dialog} title="Keyboard shortcuts" onClose=${close}>
    <dl class="facts">
      ${shortcuts.map((entry) => html`<dt>${entry.keys.split(" ").map((key, index) => html`${index > 0 && " "}<kbd>${key}</kbd>`)}</dt><dd>${entry.says}</dd>`)}
      <dt><kbd>Esc</kbd></dt><dd>Close a dialog or a menu</dd>
    </dl>
  <//>`;
}

/** One field that finds machines, projects and places. */
function Palette() {
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const dialog = useRef(/** @type {HTMLDialogElement | null} */ (null));
  const machines = useResource("/vms?limit=500").data?.vms;
  const projects = useResource("/projects").data;
  const close = () => search(false);
  useEffect(() => dialog.current?.showModal(), []);
  const found = useMemo(() => {
    const wanted = text.trim().toLowerCase();
    const all = [
      ...places().map(([href, icon, name]) => ({ href, icon, name, note: "" })),
      { href: "/machines?create=1", icon: "plus", name: "Create a machine", note: "" },
      ...(machines ?? []).filter((/** @type {any} */ vm) => vm.status !== "terminated").map((/** @type {any} */ vm) => ({ href: `/machines/${vm.id}`, icon: "machine", name: vm.name, note: `${vm.status} · ${vm.ip_address ?? vm.project_name}` })),
      ...(projects ?? []).map((/** @type {any} */ project) => ({ href: `/projects/${project.id}`, icon: "project", name: project.name, note: "project" })),
    ];
    return all.filter((one) => `${one.name} ${one.note}`.toLowerCase().includes(wanted)).slice(0, MOST_FOUND);
  }, [text, machines, projects]);
  const go = (/** @type {any} */ one) => {
    close();
    if (one) navigate(one.href);
  };
  const key = (/** @type {KeyboardEvent} */ event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined) {
      event.preventDefault();
      setAt((at + step + found.length) % Math.max(1, found.length));
    }
    if (event.key === "Enter") go(found[at]);
  };
  return html`<dialog class="dialog palette" ref=${dialog} aria-label="Search" onCancel=${close} onClick=${(/** @type {any} */ event) => event.target === dialog.current && close()}>
    <div class="frame">
      <div class="search"><${Icon} name="search" />
        <input class="input" role="combobox" aria-expanded="true" aria-controls="found" aria-label="Search machines, projects and places" aria-activedescendant=${found.length ? `found-${at}` : undefined} placeholder="Search machines, projects and places" autocomplete="off" spellcheck="false"
          value=${text} onInput=${(/** @type {any} */ event) => { setText(event.currentTarget.value); setAt(0); }} onKeyDown=${key} />
      </div>
      <div role="listbox" id="found" aria-label="Found">
        ${found.map((one, index) => html`<div role="option" id=${`found-${index}`} key=${one.href} aria-selected=${index === at} onClick=${() => go(one)} onPointerMove=${() => setAt(index)}><${Icon} name=${one.icon} /><span class="truncate">${one.name}</span><span class="grow"></span><span class="faint small truncate">${one.note}</span></div>`)}
      </div>
      ${found.length === 0 && html`<p class="content faint" role="status">Nothing has this in its name.</p>`}
    </div>
  </dialog>`;
}
