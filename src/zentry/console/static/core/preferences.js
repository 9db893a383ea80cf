// What a person likes, kept in this browser. No secret is among it.
import { signal } from "@preact/signals";

/** @type {Record<string, import("@preact/signals").Signal<string>>} */
const known = {};

/** @param {string} name @param {string} otherwise */
function preference(name, otherwise) {
  let value = otherwise;
  try {
    value = localStorage.getItem(`zentry.${name}`) ?? otherwise;
  } catch {
    // Storage is forbidden here.
  }
  known[name] = signal(value);
  return known[name];
}

/** `auto`, `light` or `dark`. */
export const theme = preference("theme", "auto");
/** `local` or `UTC`. */
export const zone = preference("zone", "local");

/** @param {string} name @param {string} value */
export function prefer(name, value) {
  known[name].value = value;
  try {
    localStorage.setItem(`zentry.${name}`, value);
  } catch {
    // It holds for this page then.
  }
  if (name === "theme") {
    if (value === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = value;
  }
}
