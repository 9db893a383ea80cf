// Figures over a period: which one the address names, and what the API says about it.
import { address } from "./api.js";
import { useResource } from "./resource.js";
import { place, setQuery } from "./router.js";
import { useRef } from "./view.js";

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const STEPS = 120;
const LEAST_STEP = 60;

/** @type {[string, string][]} */
export const RANGES = [["1", "1 h"], ["6", "6 h"], ["24", "1 d"], ["168", "7 d"], ["720", "30 d"]];
/** @type {Record<string, string>} */
export const FIGURES = { cpu_usage: "CPU", memory_usage: "Memory", disk_usage: "Disk", network_in: "Network in", network_out: "Network out", disk_read: "Disk read", disk_write: "Disk write" };

/** @typedef {{range: string, from: string, to: string, compare: boolean, peak: boolean}} Period */

/** The period that the address names. @returns {Period} */
export function period() {
  const query = place.value.query;
  const from = query.get("from") ?? "";
  return { range: from ? "" : (query.get("range") ?? "1"), from, to: query.get("to") ?? "", compare: query.get("compare") === "1", peak: query.get("peak") === "1" };
}

/** @param {Partial<Record<"range" | "from" | "to" | "compare" | "peak", string | null>>} changes */
export const setPeriod = (changes) => setQuery(changes);

/** Show from one instant to another, as drawn into a chart. @param {number} from @param {number} to - seconds */
export const zoom = (from, to) => setQuery({ range: null, from: new Date(from * 1000).toISOString().slice(0, 19) + "Z", to: new Date(to * 1000).toISOString().slice(0, 19) + "Z" });

/** What to ask for a period. @param {Period} chosen @returns {Record<string, string | number | boolean>} */
export function asked({ range, from, to, compare, peak }) {
  const end = to ? Date.parse(to) : Date.now();
  const start = from ? Date.parse(from) : Math.floor((end - Number(range || 1) * HOUR_MS) / MINUTE_MS) * MINUTE_MS;
  const step = Math.max(LEAST_STEP, Math.ceil((end - start) / 1000 / STEPS / LEAST_STEP) * LEAST_STEP);
  return { start: new Date(start).toISOString(), ...(to ? { end: to } : {}), step, ...(compare ? { compare: true } : {}), ...(peak ? { aggregation: "peak" } : {}) };
}

/** The figures below a path, such as a machine's; what was shown stays until what is newer is here. @param {string | null} path @param {Period} chosen */
export function useSeries(path, chosen) {
  const where = path === null ? null : address(path, asked(chosen)).slice((document.body.dataset.root ?? "").length);
  const found = useResource(where, { every: 15 });
  const kept = useRef(/** @type {{key: string, data: any}} */ ({ key: "", data: undefined }));
  const key = `${path} ${JSON.stringify(chosen)}`;
  if (found.data !== undefined) kept.current = { key, data: found.data };
  return { ...found, data: found.data ?? (kept.current.key === key ? kept.current.data : undefined) };
}

/** Points as columns, with those of the period before moved on top of it. @param {any} data */
export function columnsOf(data) {
  const points = data?.points ?? [];
  const before = data?.previous?.points ?? [];
  const times = points.map((/** @type {any} */ point) => Date.parse(point.timestamp) / 1000);
  const of = (/** @type {any[]} */ some, /** @type {string} */ name) => points.map((/** @type {any} */ _, /** @type {number} */ index) => some[index]?.values?.[name] ?? null);
  return {
    times,
    now: (/** @type {string} */ name) => of(points, name),
    before: (/** @type {string} */ name) => (data?.previous ? of(before, name) : null),
    isEmpty: points.every((/** @type {any} */ point) => !point.values),
    from: data ? Date.parse(data.period_start) / 1000 : undefined,
    to: data ? Date.parse(data.period_end) / 1000 : undefined,
  };
}
