// Addresses: every screen has one, the back button works, a filter is part of it.
import { computed, signal } from "@preact/signals";

const BASE = `${document.body.dataset.root ?? ""}/console`;

/** @typedef {{path: string, query: URLSearchParams}} Location */

/** @returns {Location} */
const read = () => ({
  path: decodeURI(location.pathname.slice(BASE.length)).replace(/\/+$/, "") || "/",
  query: new URLSearchParams(location.search),
});

export const place = signal(read());
export const currentPath = computed(() => place.value.path);
/** Says whether the screen may be left; a form with unsaved text puts a question here. @type {{ask: null | (() => boolean)}} */
export const guard = { ask: null };

addEventListener("popstate", () => {
  place.value = read();
});

/** @param {string} to - path below /console, with its query */
export const link = (to) => `${BASE}${to === "/" ? "" : to}`;

/** Go to a screen. @param {string} to @param {{replace?: boolean}} [how] */
export function navigate(to, { replace = false } = {}) {
  if (guard.ask !== null && !guard.ask()) return;
  history[replace ? "replaceState" : "pushState"](null, "", link(to));
  const before = place.value.path;
  place.value = read();
  if (before !== place.value.path) scrollTo(0, 0);
}

/** Change parts of the query without a new entry in the history. @param {Record<string, string | null>} changes */
export function setQuery(changes) {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value) query.set(name, value);
    else query.delete(name);
  }
  const text = query.toString();
  history.replaceState(null, "", `${location.pathname}${text ? `?${text}` : ""}`);
  place.value = read();
}

/** Let a click on a link of ours stay inside the page; all others, and every modified click, go their way. @param {MouseEvent} event */
export function follow(event) {
  const anchor = /** @type {HTMLElement} */ (event.target).closest?.("a[href]");
  if (!(anchor instanceof HTMLAnchorElement) || event.defaultPrevented || event.button !== 0) return;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || anchor.target) return;
  const target = new URL(anchor.href);
  const isOurs = target.origin === location.origin && (target.pathname === BASE || target.pathname.startsWith(`${BASE}/`));
  if (!isOurs || target.hash) return;
  event.preventDefault();
  navigate(target.pathname.slice(BASE.length) + target.search || "/");
}

/**
 * The first pattern that fits a path, with its parameters: `/machines/:id` gives `{id}`.
 * @template T
 * @param {readonly (readonly [string, T])[]} routes
 * @param {string} path
 * @returns {{value: T, parameters: Record<string, string>} | null}
 */
export function match(routes, path) {
  const pieces = path.split("/");
  for (const [pattern, value] of routes) {
    const wanted = pattern.split("/");
    if (wanted.length !== pieces.length) continue;
    /** @type {Record<string, string>} */
    const parameters = {};
    const fits = wanted.every((part, index) => {
      if (!part.startsWith(":")) return part === pieces[index];
      parameters[part.slice(1)] = pieces[index];
      return pieces[index] !== "";
    });
    if (fits) return { value, parameters };
  }
  return null;
}
