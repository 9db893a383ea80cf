// What a link from a mail asks for. Its token stands behind the #, which browsers send to nobody, and is taken off at once.
import { signal } from "@preact/signals";

/** @returns {{what: string, token: string} | null} */
function read() {
  const found = /^#([a-z-]+)=([\w.~-]+)$/.exec(location.hash);
  if (found === null) return null;
  history.replaceState(null, "", location.pathname + location.search);
  return { what: found[1], token: found[2] };
}

/** What the link asks for, until it is done. */
export const mailed = signal(read());

addEventListener("hashchange", () => {
  mailed.value = read() ?? mailed.value;
});
