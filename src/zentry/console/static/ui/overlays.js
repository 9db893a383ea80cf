// What lies above the page for a moment: dialogs, questions, menus, messages.
import { Icon } from "../core/icons.js";
import { ApiError } from "../core/api.js";
import { html, signal, useEffect, useId, useRef, useState } from "../core/view.js";

const TOAST_MS = 6000;
const UNDO_MS = 7000;
const MOST_TOASTS = 4;

/** @typedef {{id: number, text: string, kind: string, action?: {label: string, does: () => void}}} Toast */
/** @type {import("@preact/signals").Signal<Toast[]>} */
const toasts = signal([]);
let counted = 0;

/** Say something. Errors stay until they are read. @param {string} text @param {"" | "good" | "bad"} [kind] @param {Toast["action"]} [action] */
export function toast(text, kind = "", action) {
  const id = ++counted;
  toasts.value = [...toasts.value.slice(1 - MOST_TOASTS), { id, text, kind, action }];
  if (kind !== "bad") setTimeout(() => dismiss(id), action ? UNDO_MS : TOAST_MS);
  return id;
}

/** @param {number} id */
function dismiss(id) {
  toasts.value = toasts.value.filter((one) => one.id !== id);
}

/** Do something and say what the server said when it refuses. @template T @param {() => Promise<T>} does @param {string} [done] @returns {Promise<T | undefined>} */
export async function attempt(does, done) {
  try {
    const result = await does();
    if (done) toast(done, "good");
    return result;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.status !== 401) toast(error.message, "bad");
    return undefined;
  }
}

/** Do something unless it is taken back within some seconds. @param {string} text @param {() => void} does @param {() => void} [back] */
export function undoable(text, does, back) {
  let taken = false;
  const timer = setTimeout(() => !taken && does(), UNDO_MS);
  toast(text, "", {
    label: "Undo",
    does: () => {
      taken = true;
      clearTimeout(timer);
      back?.();
    },
  });
}

/** @type {Record<string, string>} */
const TOAST_ICONS = { good: "check", bad: "alert", "": "info" };

export const Toasts = () => html`<div class="toasts" role="region" aria-label="Messages" aria-live="polite">
  ${toasts.value.map(
    (one) => html`<div class="toast ${one.kind}" key=${one.id} role=${one.kind === "bad" ? "alert" : "status"}>
      <${Icon} name=${TOAST_ICONS[one.kind]} />
      <span class="grow wrap-any">${one.text}</span>
      ${one.action &&
      html`<button type="button" class="button little" onClick=${() => {
        one.action?.does();
        dismiss(one.id);
      }}>${one.action.label}</button>`}
      <button type="button" class="button bare little square" aria-label="Dismiss" onClick=${() => dismiss(one.id)}><${Icon} name="cross" /></button>
    </div>`,
  )}
</div>`;

/**
 * A dialog that the browser itself keeps: focus stays inside, Escape closes, focus returns.
 * @param {{title: any, onClose: () => void, onSubmit?: () => void, large?: boolean, foot?: any, children?: any, fixed?: boolean}} properties
 */
export function Dialog({ title, onClose, onSubmit, large = false, foot, children, fixed = false }) {
  const dialog = useRef(/** @type {HTMLDialogElement | null} */ (null));
  const id = useId();
  useEffect(() => {
    const shown = dialog.current;
    const before = document.activeElement;
    shown?.showModal();
    return () => {
      shown?.close();
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    onSubmit?.();
  };
  // What is only read has nothing inside that a keyboard could scroll it with.
  const scrolls = onSubmit ? { tabindex: -1 } : { tabindex: 0, role: "region", "aria-labelledby": id };
  const inside = html`<div class="head"><h2 id=${id}>${title}</h2>
      ${!fixed && html`<button type="button" class="button bare square" aria-label="Close" onClick=${onClose}><${Icon} name="cross" /></button>`}</div>
    <div class="content" ...${scrolls}>${children}</div>
    ${foot && html`<div class="foot">${foot}</div>`}`;
  return html`<dialog
    ref=${dialog}
    class="dialog ${large ? "large" : ""}"
    aria-labelledby=${id}
    onCancel=${(/** @type {Event} */ event) => {
      event.preventDefault();
      if (!fixed) onClose();
    }}
  >
    ${onSubmit ? html`<form onSubmit=${submit} novalidate>${inside}</form>` : html`<div class="frame">${inside}</div>`}
  </dialog>`;
}

/** @typedef {{title: string, text: any, verb: string, typed?: string, danger?: boolean}} Question */
/** @type {import("@preact/signals").Signal<(Question & {answer: (yes: boolean) => void}) | null>} */
const question = signal(null);

/** Ask before something that cannot be taken back; `typed` has to be typed. @param {Question} asked @returns {Promise<boolean>} */
export function confirm(asked) {
  return new Promise((resolve) => {
    question.value = {
      ...asked,
      answer: (yes) => {
        question.value = null;
        resolve(yes);
      },
    };
  });
}

export function Confirm() {
  const asked = question.value;
  return asked && html`<${Asking} ...${asked} />`;
}

/** @param {Question & {answer: (yes: boolean) => void}} properties */
function Asking({ title, text, verb, typed, danger = true, answer }) {
  const [given, setGiven] = useState("");
  const id = useId();
  const ready = !typed || given.trim() === typed;
  return html`<${Dialog}
    title=${title}
    onClose=${() => answer(false)}
    onSubmit=${() => ready && answer(true)}
    foot=${html`<button type="button" class="button" onClick=${() => answer(false)}>Cancel</button>
      <button type="submit" class=${`button ${danger ? "danger solid" : "primary"}`} disabled=${!ready}>${verb}</button>`}
  >
    <div class="stack tight">${typeof text === "string" ? html`<p>${text}</p>` : text}</div>
    ${typed &&
    html`<div class="field">
      <label for=${id}>Type <code class="wrap-any">${typed}</code> to confirm</label>
      <input id=${id} class="input" autocomplete="off" spellcheck="false" value=${given} onInput=${(/** @type {any} */ event) => setGiven(event.currentTarget.value)} />
    </div>`}
  <//>`;
}

/** @typedef {({icon?: string, label: string, does?: () => void, href?: string, danger?: boolean} | null)[]} Items */

/** A button that opens a list of actions. @param {{label: string, icon?: string, text?: any, items: Items | (() => Items), up?: boolean, kind?: string, trigger?: any}} properties */
export function Menu({ label, icon = "more", text, items, up = false, kind = "bare", trigger }) {
  const [open, setOpen] = useState(false);
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => {
    if (!open) return undefined;
    const outside = (/** @type {Event} */ event) => {
      if (!box.current?.contains(/** @type {Node} */ (event.target))) setOpen(false);
    };
    document.addEventListener("pointerdown", outside);
    /** @type {HTMLElement | null | undefined} */ (box.current?.querySelector("[role=menuitem]"))?.focus();
    return () => document.removeEventListener("pointerdown", outside);
  }, [open]);
  const move = (/** @type {KeyboardEvent} */ event) => {
    const all = /** @type {HTMLElement[]} */ ([...(box.current?.querySelectorAll("[role=menuitem]") ?? [])]);
    const at = all.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape" || event.key === "Tab") setOpen(false);
    if (event.key === "Escape") /** @type {HTMLElement | null | undefined} */ (box.current?.querySelector("button"))?.focus();
    if (step !== undefined) {
      event.preventDefault();
      all[(at + step + all.length) % all.length]?.focus();
    }
  };
  return html`<span class="menu" ref=${box} onKeyDown=${open ? move : undefined}>
    <button type="button" class=${`button ${kind} ${text || trigger ? "" : "square"}`} aria-haspopup="menu" aria-expanded=${open} aria-label=${text ? undefined : label} title=${text || trigger ? undefined : label} onClick=${() => setOpen(!open)}>
      ${trigger ?? html`<${Icon} name=${icon} />`}${text}
    </button>
    ${open &&
    html`<div class="menu-list ${up ? "up" : ""}" role="menu" aria-label=${label}>
      ${(typeof items === "function" ? items() : items).map((item) =>
        item === null
          ? html`<hr />`
          : html`<${item.href ? "a" : "button"}
              type=${item.href ? undefined : "button"}
              href=${item.href}
              role="menuitem"
              tabindex="-1"
              class=${item.danger ? "danger" : ""}
              onClick=${() => {
                setOpen(false);
                item.does?.();
              }}
              >${item.icon && html`<${Icon} name=${item.icon} />`}${item.label}<//
            >`,
      )}
    </div>`}
  </span>`;
}
