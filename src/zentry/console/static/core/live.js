// How the page stays true while nobody touches it: the event stream says what has changed, and only that is read again.
//
// The stream is an answer of `fetch`, so the token travels in a header. When it is away, or while the session ends, the
// resources go on asking by themselves, as often as they would without it.
import { effect, signal } from "@preact/signals";
import { open } from "./api.js";
import { state as session } from "./session.js";

const SLOWER = 6;
const SILENCE_MS = 45_000;
const AGAIN_MS = [1000, 2000, 5000, 10_000, 30_000];

/** `polling` while changes are asked for, `live` while they arrive by themselves. @type {import("@preact/signals").Signal<"polling" | "live">} */
export const mode = signal("polling");

/** @typedef {import("./api.js").Schemas["EventResponse"]} LiveEvent */
/** @type {Set<(event: LiveEvent) => void>} */
const listeners = new Set();
let position = "";

/** Hear every event from now on. @param {(event: LiveEvent) => void} listener @returns {() => void} takes it back */
export function listen(listener) {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

/** How often to ask, given how often it would be without the stream. @param {number} seconds */
export const pace = (seconds) => (mode.value === "live" ? seconds * SLOWER : seconds);

effect(() => {
  if (session.value !== "in") return undefined;
  const stop = new AbortController();
  void follow(stop.signal);
  return () => {
    stop.abort();
    position = "";
    mode.value = "polling";
  };
});

/** Hold a stream open, and open the next one when it ends. @param {AbortSignal} stop */
async function follow(stop) {
  for (let failures = 0; !stop.aborted; ) {
    const began = Date.now();
    try {
      await once(stop);
    } catch {
      // Cut off or not reachable: what is on screen asks by itself until the next one is open.
    }
    if (stop.aborted) return;
    mode.value = "polling";
    failures = Date.now() - began > SILENCE_MS ? 0 : Math.min(failures + 1, AGAIN_MS.length - 1);
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS[failures]));
  }
}

/** @param {AbortSignal} stop */
async function once(stop) {
  const quiet = new AbortController();
  const answer = await open("/events/stream", {
    headers: { Accept: "text/event-stream", ...(position ? { "Last-Event-ID": position } : {}) },
    signal: AbortSignal.any([stop, quiet.signal]),
  });
  if (!answer.ok || answer.body === null) return;
  mode.value = "live";
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let timer = setTimeout(() => quiet.abort(), SILENCE_MS);
  let rest = "";
  try {
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
      clearTimeout(timer);
      timer = setTimeout(() => quiet.abort(), SILENCE_MS);
      const lines = (rest + piece.value).split("\n");
      rest = lines.pop() ?? "";
      lines.forEach(hear);
    }
  } finally {
    clearTimeout(timer);
  }
}

/** @param {string} line */
function hear(line) {
  if (line.startsWith("id: ")) position = line.slice(4);
  if (!line.startsWith("data: ")) return;
  const event = JSON.parse(line.slice(6));
  if (event.kind) for (const listener of listeners) listener(event);
}
