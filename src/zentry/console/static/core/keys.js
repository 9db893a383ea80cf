// The keyboard: single keys and two-key sequences, never while somebody types.
import { signal } from "@preact/signals";

const SEQUENCE_MS = 900;

/** @type {{keys: string, says: string, does: () => void}[]} */
export const shortcuts = [];
export const helpOpen = signal(false);

let before = "";
let beforeAt = 0;

/** @param {string} keys - such as "g m" or "?" @param {string} says @param {() => void} does @returns {() => void} takes it back */
export function shortcut(keys, says, does) {
  const entry = { keys, says, does };
  shortcuts.push(entry);
  return () => void shortcuts.splice(shortcuts.indexOf(entry), 1);
}

/** @param {EventTarget | null} target */
const isTyping = (target) =>
  target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)) && !target.matches("input[type=checkbox], input[type=radio]");

addEventListener("keydown", (event) => {
  if (event.metaKey || event.ctrlKey || event.altKey || isTyping(event.target) || document.querySelector("dialog[open]")) return;
  const now = event.timeStamp;
  const pressed = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const sequence = before && now - beforeAt < SEQUENCE_MS ? `${before} ${pressed}` : pressed;
  const found = shortcuts.find((entry) => entry.keys === sequence) ?? shortcuts.find((entry) => entry.keys === pressed);
  before = pressed;
  beforeAt = now;
  if (found === undefined) return;
  before = "";
  event.preventDefault();
  found.does();
});
