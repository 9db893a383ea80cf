// The one way to the API. What the console can do, any client can: nothing here is private to it.
import { signal } from "@preact/signals";

/** @typedef {import("zentry-api").paths} Paths */
/** @typedef {import("zentry-api").components["schemas"]} Schemas */

const ROOT = document.body.dataset.root ?? "";
const TIMEOUT_MS = 45_000;
const RETRY_MS = 400;

/** Whether the last request reached the server. */
export const online = signal(true);

/** An answer that says no, or none at all. `message` is the server's own `detail`, made to be shown. */
export class ApiError extends Error {
  /** @param {{status: number, code: string, detail: string, details?: any, requestId?: string, retryAfter?: number}} told */
  constructor({ status, code, detail, details, requestId, retryAfter }) {
    super(detail);
    this.status = status;
    this.code = code;
    this.details = details ?? null;
    this.requestId = requestId ?? "";
    this.retryAfter = retryAfter ?? 0;
  }

  /** What the server says about one field of the form, if it says anything. @param {string} name */
  of(name) {
    const errors = /** @type {any[]} */ (this.details?.validation_errors ?? []);
    return errors.find((error) => String(error.field).split(".").pop() === name)?.message ?? "";
  }
}

/** How requests are authenticated; the session puts itself here. */
export const credentials = {
  /** @type {() => string} */
  token: () => "",
  /** Get a new token, by renewing or by asking the person; false when there is none to be had. @type {(stale: string) => Promise<boolean>} */
  renew: async () => false,
  /** Have the person prove once more who is here; false when that is not wanted. @type {() => Promise<boolean>} */
  prove: async () => false,
};

/**
 * @typedef {object} Options
 * @property {Record<string, string | number | boolean | null | undefined>} [query]
 * @property {unknown} [body]
 * @property {Record<string, string>} [headers]
 * @property {AbortSignal} [signal]
 * @property {string} [etag] - ask only for what is newer; the answer's `status` is 304 when nothing is
 * @property {string} [key] - the idempotency key; a write without one gets its own
 * @property {boolean} [open] - whether the request needs no session
 */

/** @typedef {{status: number, data: any, headers: Headers}} Answer */

/**
 * Send a request, once more after the session was renewed, and a write again when its answer got lost: the
 * idempotency key makes that safe.
 * @param {string} method
 * @param {string} path
 * @param {Options} [options]
 * @returns {Promise<Answer>}
 */
export async function request(method, path, options = {}) {
  const key = options.key ?? (method === "GET" || options.open ? undefined : newKey());
  const token = credentials.token();
  let answer = await attempt(method, path, { ...options, key });
  if (answer === null && (key || method === "GET")) {
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    answer = await attempt(method, path, { ...options, key });
  }
  if (answer?.status === 401 && !options.open && (await credentials.renew(token))) {
    answer = await attempt(method, path, { ...options, key });
  }
  if (answer?.status === 403 && !options.open && (await wantsProof(answer)) && (await credentials.prove())) {
    answer = await attempt(method, path, { ...options, key });
  }
  if (answer === null) {
    throw new ApiError({ status: 0, code: "OFFLINE", detail: "The server cannot be reached. Nothing was lost: try again when the connection is back." });
  }
  return read(answer);
}

/** @param {string} path @param {Options} [options] */
export const get = async (path, options) => (await request("GET", path, options)).data;
/** @param {string} path @param {unknown} [body] @param {Options} [options] */
export const post = async (path, body, options) => (await request("POST", path, { ...options, body })).data;
/** @param {string} path @param {unknown} [body] @param {Options} [options] */
export const put = async (path, body, options) => (await request("PUT", path, { ...options, body })).data;
/** @param {string} path @param {unknown} [body] @param {Options} [options] */
export const patch = async (path, body, options) => (await request("PATCH", path, { ...options, body })).data;
/** @param {string} path @param {Options} [options] */
export const remove = async (path, options) => (await request("DELETE", path, options)).data;

/** The address of a path with its query; ids are escaped by the caller through `path`. @param {string} path @param {Options["query"]} [query] */
export function address(path, query = {}) {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") parameters.set(name, String(value));
  }
  const text = parameters.toString();
  return `${ROOT}${path}${text ? `?${text}` : ""}`;
}

/** Build a path from a template: path`/vms/${id}/stop` escapes what it is given. @param {TemplateStringsArray} strings @param {...(string | number)} values */
export function path(strings, ...values) {
  return strings.reduce((text, part, index) => text + encodeURIComponent(String(values[index - 1])) + part);
}

/** Read the stream of an answer by lines; the token travels in a header, never in the address. @param {string} where @param {Options} options */
export async function open(where, options) {
  return fetch(address(where, options.query), { headers: headers(options), signal: options.signal, cache: "no-store" });
}

/** What is no number is told as the word that it is: null would mean that nothing was said. @param {string} _ @param {unknown} value */
const told = (_, value) => (typeof value === "number" && !Number.isFinite(value) ? String(value) : value);

/** @param {string} method @param {string} where @param {Options} options @returns {Promise<Response | null>} */
async function attempt(method, where, options) {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  try {
    const answer = await fetch(address(where, options.query), {
      method,
      headers: headers(options),
      body: options.body === undefined ? undefined : JSON.stringify(options.body, told),
      signal: options.signal ? AbortSignal.any([options.signal, timeout]) : timeout,
      cache: "no-store",
      credentials: "omit",
    });
    online.value = true;
    return answer;
  } catch (error) {
    if (options.signal?.aborted) throw error;
    online.value = false;
    return null;
  }
}

/** @param {Options} options @returns {Record<string, string>} */
function headers(options) {
  const token = options.open ? "" : credentials.token();
  return {
    Accept: "application/json",
    ...(options.body === undefined ? {} : { "Content-Type": "application/json" }),
    ...(token ? { Authorization: `Bearer ${token}` } : {}),
    ...(options.key ? { "Idempotency-Key": options.key } : {}),
    ...(options.etag ? { "If-None-Match": options.etag } : {}),
    ...options.headers,
  };
}

/** Whether a refusal is over when the person has sent the password again. @param {Response} answer @returns {Promise<boolean>} */
async function wantsProof(answer) {
  const told = await answer.clone().json().catch(() => null);
  return told?.error_code === "REAUTHENTICATION_REQUIRED";
}

/** @param {Response} answer @returns {Promise<Answer>} */
async function read(answer) {
  if (answer.status === 304) return { status: 304, data: null, headers: answer.headers };
  const text = await answer.text();
  const isJSON = /\bjson\b/.test(answer.headers.get("content-type") ?? "");
  let data;
  try {
    data = isJSON && text ? JSON.parse(text) : text;
  } catch {
    data = text;
  }
  if (answer.ok) return { status: answer.status, data, headers: answer.headers };
  throw new ApiError({
    status: answer.status,
    code: data?.error_code ?? `HTTP_${answer.status}`,
    detail: data?.detail ?? `The server answered ${answer.status}.`,
    details: data?.details,
    requestId: data?.request_id,
    retryAfter: Number(answer.headers.get("retry-after")) || 0,
  });
}

/** A name for one write, so that its repeat has no second effect. */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
