// What was read from the API, shared by all who show it, and kept fresh.
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { ApiError, request } from "./api.js";
import { pace } from "./live.js";

const KEPT = 60;

/**
 * @typedef {object} Entry
 * @property {string} path
 * @property {unknown} body - what is sent with a question that is asked by POST
 * @property {import("@preact/signals").Signal<any>} data
 * @property {import("@preact/signals").Signal<ApiError | null>} error
 * @property {string} etag
 * @property {number} users
 * @property {number} at - when it was read last
 * @property {number} asked - counts reads, so that a slow old answer does not replace a new one
 * @property {Promise<void> | null} reading
 */

/** @type {Map<string, Entry>} */
const entries = new Map();

/** @param {string} path @param {unknown} body @returns {Entry} */
function entryOf(path, body) {
  const key = body === undefined ? path : `${path} ${JSON.stringify(body)}`;
  let entry = entries.get(key);
  if (entry === undefined) {
    entry = { path, body, data: signal(undefined), error: signal(null), etag: "", users: 0, at: 0, asked: 0, reading: null };
    entries.set(key, entry);
    forget();
  }
  return entry;
}

function forget() {
  if (entries.size <= KEPT) return;
  for (const [key, entry] of entries) {
    if (entry.users === 0) entries.delete(key);
    if (entries.size <= KEPT) return;
  }
}

/** @param {Entry} entry @returns {Promise<void>} */
function read(entry) {
  entry.reading ??= readNow(entry).finally(() => {
    entry.reading = null;
  });
  return entry.reading;
}

/** @param {Entry} entry */
async function readNow(entry) {
  const mine = ++entry.asked;
  try {
    const asks = entry.body !== undefined;
    const answer = await request(asks ? "POST" : "GET", entry.path, asks ? { body: entry.body, key: "" } : { etag: entry.etag });
    if (mine !== entry.asked) return;
    if (answer.status !== 304) {
      entry.data.value = answer.data;
      entry.etag = answer.headers.get("etag") ?? "";
    }
    entry.error.value = null;
  } catch (error) {
    if (mine !== entry.asked) return;
    entry.error.value = error instanceof ApiError ? error : new ApiError({ status: 0, code: "UNKNOWN", detail: String(error) });
  } finally {
    entry.at = Date.now();
  }
}

/**
 * Show what lies under a path. `every` is how often it is read again while the event stream is away, in seconds; a
 * `body` makes it a question that changes nothing and is asked by POST, such as that for a price.
 * @param {string | null} path
 * @param {{every?: number, body?: unknown}} [how]
 * @returns {{data: any, error: ApiError | null, reload: () => Promise<void>}}
 */
export function useResource(path, { every = 0, body } = {}) {
  const entry = path === null ? null : entryOf(path, body);
  useEffect(() => {
    if (entry === null) return undefined;
    entry.users += 1;
    if (Date.now() - entry.at > 1000 || entry.error.peek()) void read(entry);
    const timer = every > 0 ? setInterval(() => !document.hidden && Date.now() - entry.at > pace(every) * 900 && void read(entry), every * 1000) : 0;
    return () => {
      entry.users -= 1;
      clearInterval(timer);
    };
  }, [entry, every]);
  return {
    data: entry?.data.value,
    error: entry?.error.value ?? null,
    reload: () => (entry === null ? Promise.resolve() : read(entry)),
  };
}

/** Read again whatever is on screen and begins with one of these paths; forget the rest of it. @param {...string} prefixes */
export async function invalidate(...prefixes) {
  const hit = [...entries.values()].filter((entry) => prefixes.some((prefix) => entry.path.startsWith(prefix)));
  await Promise.all(
    hit.map((entry) => {
      entry.at = 0;
      if (entry.users === 0) return undefined;
      entry.asked += 1;
      entry.reading = null;
      return read(entry);
    }),
  );
}

/** Put a newer truth in place without asking. @param {string} path @param {(data: any) => any} change */
export function amend(path, change) {
  const entry = entries.get(path);
  if (entry?.data.value !== undefined) entry.data.value = change(entry.data.value);
}

/** Forget everything: somebody else is here. */
export function clear() {
  entries.clear();
}

addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  for (const entry of entries.values()) if (entry.users > 0 && Date.now() - entry.at > 5000) void read(entry);
});
