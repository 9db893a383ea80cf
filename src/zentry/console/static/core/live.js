// How the page stays true while nobody touches it.
import { signal } from "@preact/signals";

/** `polling` while changes are asked for, `live` while they arrive by themselves. @type {import("@preact/signals").Signal<"polling" | "live">} */
export const mode = signal("polling");

const SLOWER = 6;

/** How often to ask, given how often it would be without the stream: what arrives by itself is asked for seldom. @param {number} seconds */
export const pace = (seconds) => (mode.value === "live" ? seconds * SLOWER : seconds);
