// Who is signed in, and the tokens of it.
//
// The access token lives in memory. The refresh token lives in sessionStorage: it survives a reload, is never written
// for the next visitor of this computer, and goes with the last tab. Open tabs share one session over a
// BroadcastChannel, and one at a time renews it under a lock: a refresh token works once (docs/decisions).
import { computed, signal } from "@preact/signals";
import { ApiError, credentials, get, post } from "./api.js";

/** @typedef {import("./api.js").Schemas["UserResponse"]} User */
/** @typedef {{access: string, refresh: string, at: number}} Pair */

const STORED = "zentry.session";
const ASK_MS = 120;

/** @type {Pair | null} */
let pair = null;
/** @type {BroadcastChannel | null} */
const channel = "BroadcastChannel" in globalThis ? new BroadcastChannel("zentry.session") : null;

/** @type {import("@preact/signals").Signal<User | null>} */
export const user = signal(null);
/** `starting` until it is known whether somebody is signed in. @type {import("@preact/signals").Signal<"starting" | "out" | "in">} */
export const state = signal("starting");
/** Somebody has to sign in again before what is on screen can go on. */
export const lapsed = signal(false);
/** Somebody has to prove who is here before what was asked for is done. */
export const doubted = signal(false);
export const isAdmin = computed(() => user.value?.role === "admin");

/** @type {((again: boolean) => void)[]} */
let waiting = [];
/** @type {((proven: boolean) => void)[]} */
let doubts = [];

/** Find out who is here: from this tab's memory, else from another tab, and see whether the session still holds. */
export async function start() {
  credentials.token = () => pair?.access ?? "";
  credentials.renew = renew;
  credentials.prove = prove;
  channel?.addEventListener("message", (message) => hear(message.data));
  pair = stored() ?? (await ask());
  if (pair === null) return leave();
  try {
    if (!pair.access && !(await rotate(""))) return leave();
    user.value = await get("/auth/me");
    state.value = "in";
  } catch (error) {
    if (error instanceof ApiError && error.status === 0) {
      state.value = "in"; // Not reachable is not signed out: what is on screen tells it, and goes on by itself.
      return undefined;
    }
    return leave();
  }
}

/** Take the tokens of a sign-up or login. @param {import("./api.js").Schemas["Token"]} token */
export function enter(token) {
  const other = user.value !== null && user.value.id !== token.user.id;
  keep({ access: token.access_token, refresh: token.refresh_token, at: Date.now() });
  tell({ kind: "pair", pair });
  user.value = token.user;
  state.value = "in";
  lapsed.value = false;
  settle(!other);
  if (other) location.reload(); // Nothing of the person before may stay on screen.
}

/** Ask the server for the account as it is now. */
export async function refreshUser() {
  user.value = await get("/auth/me");
}

/** End the session, here and in every tab. */
export async function signOut() {
  try {
    await post("/auth/logout");
  } catch {
    // The session ends at the latest when its token does; who leaves shall not be kept.
  }
  tell({ kind: "out" });
  leave();
}

/** Whoever was asked to sign in again does not want to. */
export function abandon() {
  lapsed.value = false;
  settle(false);
  leave();
}

/** @param {string} stale @returns {Promise<boolean>} */
async function renew(stale) {
  if (pair !== null && pair.access && pair.access !== stale) return true;
  if (pair !== null && (await rotate(stale))) return true;
  if (state.value !== "in") return false;
  lapsed.value = true;
  return new Promise((resolve) => waiting.push(resolve));
}

/** @returns {Promise<boolean>} */
function prove() {
  doubted.value = true;
  return new Promise((resolve) => doubts.push(resolve));
}

/** The person has proven who is here, or does not want to. @param {boolean} proven */
export function dispel(proven) {
  doubted.value = false;
  const asked = doubts;
  doubts = [];
  for (const resolve of asked) resolve(proven);
}

/** @param {boolean} again */
function settle(again) {
  const asked = waiting;
  waiting = [];
  for (const resolve of asked) resolve(again);
}

/** Exchange the refresh token, one tab at a time. @param {string} stale @returns {Promise<boolean>} */
async function rotate(stale) {
  const turn = async () => {
    if (pair?.access && pair.access !== stale) return true;
    const newer = await ask();
    if (newer !== null && newer.access && newer.access !== stale && newer.at > (pair?.at ?? 0)) {
      keep(newer);
      return true;
    }
    if (pair === null) return false;
    try {
      const token = await post("/auth/refresh", { refresh_token: pair.refresh }, { open: true });
      keep({ access: token.access_token, refresh: token.refresh_token, at: Date.now() });
      tell({ kind: "pair", pair });
      user.value = token.user;
      return true;
    } catch (error) {
      if (error instanceof ApiError && error.status !== 401 && error.status !== 403) throw error;
      return false;
    }
  };
  return navigator.locks ? navigator.locks.request("zentry.renew", turn) : turn();
}

/** Ask the other tabs for what they have. @returns {Promise<Pair | null>} */
function ask() {
  if (channel === null) return Promise.resolve(null);
  return new Promise((resolve) => {
    /** @param {MessageEvent} message */
    const listen = (message) => {
      if (message.data?.kind === "pair" && message.data.pair) done(message.data.pair);
    };
    /** @param {Pair | null} found */
    const done = (found) => {
      clearTimeout(timer);
      channel.removeEventListener("message", listen);
      resolve(found);
    };
    const timer = setTimeout(() => done(null), ASK_MS);
    channel.addEventListener("message", listen);
    tell({ kind: "ask" });
  }).then((found) => {
    if (found !== null && pair === null) keep(/** @type {Pair} */ (found));
    return /** @type {Pair | null} */ (found);
  });
}

/** @param {{kind: string, pair?: Pair | null}} message */
function hear(message) {
  if (message.kind === "ask" && pair?.access) tell({ kind: "pair", pair });
  if (message.kind === "out") leave();
  if (message.kind === "pair" && message.pair && state.value === "in" && message.pair.at > (pair?.at ?? 0)) {
    keep(message.pair);
    if (lapsed.value) void recover();
  }
}

/** Another tab has signed in again: go on here too, if it is the same person. */
async function recover() {
  const before = user.value?.id;
  const now = await get("/auth/me");
  if (before !== undefined && before !== now.id) return location.reload();
  user.value = now;
  lapsed.value = false;
  return settle(true);
}

function leave() {
  dispel(false);
  pair = null;
  user.value = null;
  state.value = "out";
  try {
    sessionStorage.removeItem(STORED);
  } catch {
    // Storage is forbidden here, so there is nothing to remove.
  }
}

/** @param {Pair} next */
function keep(next) {
  pair = next;
  try {
    sessionStorage.setItem(STORED, JSON.stringify({ refresh: next.refresh, at: next.at }));
  } catch {
    // Storage is forbidden here: the session ends with the page.
  }
}

/** @returns {Pair | null} */
function stored() {
  try {
    const text = sessionStorage.getItem(STORED);
    const kept = text === null ? null : JSON.parse(text);
    return kept?.refresh ? { access: "", refresh: String(kept.refresh), at: Number(kept.at) || 0 } : null;
  } catch {
    return null;
  }
}

/** @param {unknown} message */
function tell(message) {
  channel?.postMessage(message);
}
