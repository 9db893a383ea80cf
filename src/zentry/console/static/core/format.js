// Numbers, money and times, as the reader's locale writes them.
import { zone } from "./preferences.js";

const CURRENCY = "USD";
const SMALL = 0.1;
const MINUTE = 60;
const HOUR = 3600;
const DAY = 86_400;

/** @type {Map<string, Intl.NumberFormat | Intl.DateTimeFormat | Intl.RelativeTimeFormat>} */
const made = new Map();

/** @template T @param {string} key @param {() => T} make @returns {T} */
function once(key, make) {
  if (!made.has(key)) made.set(key, /** @type {any} */ (make()));
  return /** @type {any} */ (made.get(key));
}

/** Money: two digits, and as many as it takes where two would say nothing. @param {number | null | undefined} amount @param {{sign?: boolean, digits?: number, fixed?: boolean}} [how] */
export function money(amount, { sign = false, digits, fixed = false } = {}) {
  if (amount === null || amount === undefined) return "–";
  const most = digits ?? (amount !== 0 && Math.abs(amount) < SMALL ? 6 : 2);
  const least = fixed ? most : Math.min(2, most);
  return once(`money${least}${most}${sign}`, () =>
    new Intl.NumberFormat(undefined, {
      style: "currency",
      currency: CURRENCY,
      currencyDisplay: "narrowSymbol",
      minimumFractionDigits: least,
      maximumFractionDigits: most,
      signDisplay: sign ? "exceptZero" : "auto",
    }),
  ).format(amount);
}

/** @param {number | null | undefined} value @param {number} [digits] */
export function number(value, digits = 0) {
  if (value === null || value === undefined) return "–";
  return once(`number${digits}`, () => new Intl.NumberFormat(undefined, { maximumFractionDigits: digits })).format(value);
}

/** @param {number | null | undefined} value - 0 to 100 */
export const percent = (value) => (value === null || value === undefined ? "–" : `${number(value, value < 10 ? 1 : 0)} %`);

/** @param {number} mib */
export const memory = (mib) => (mib >= 1024 ? `${number(mib / 1024, 1)} GiB` : `${number(mib)} MiB`);

/** @param {number} value - bytes per second */
export function rate(value) {
  const units = ["B/s", "kB/s", "MB/s", "GB/s"];
  let index = 0;
  let amount = value;
  while (amount >= 1000 && index < units.length - 1) {
    amount /= 1000;
    index += 1;
  }
  return `${number(amount, amount < 10 ? 1 : 0)} ${units[index]}`;
}

const timeZone = () => (zone.value === "UTC" ? "UTC" : undefined);

/** Day and time. @param {string | number | Date | null | undefined} at */
export function dateTime(at) {
  if (!at) return "–";
  const options = /** @type {Intl.DateTimeFormatOptions} */ ({ dateStyle: "medium", timeStyle: "short", timeZone: timeZone() });
  return once(`dateTime${zone.value}`, () => new Intl.DateTimeFormat(undefined, options)).format(new Date(at));
}

/** To the second, with its zone: for tooltips and logs. @param {string | number | Date} at */
export function exactTime(at) {
  const options = /** @type {Intl.DateTimeFormatOptions} */ ({ dateStyle: "long", timeStyle: "long", timeZone: timeZone() });
  return once(`exact${zone.value}`, () => new Intl.DateTimeFormat(undefined, options)).format(new Date(at));
}

/** @param {string | number | Date | null | undefined} at */
export function date(at) {
  if (!at) return "–";
  const options = /** @type {Intl.DateTimeFormatOptions} */ ({ dateStyle: "medium", timeZone: timeZone() });
  return once(`date${zone.value}`, () => new Intl.DateTimeFormat(undefined, options)).format(new Date(at));
}

/** "3 minutes ago", "in 2 days". @param {string | number | Date} at @param {number} [now] */
export function relative(at, now = Date.now()) {
  const seconds = (new Date(at).getTime() - now) / 1000;
  const away = Math.abs(seconds);
  const format = once("relative", () => new Intl.RelativeTimeFormat(undefined, { numeric: "auto", style: "short" }));
  if (away < 45) return format.format(0, "second");
  if (away < HOUR) return format.format(Math.round(seconds / MINUTE), "minute");
  if (away < DAY) return format.format(Math.round(seconds / HOUR), "hour");
  if (away < 60 * DAY) return format.format(Math.round(seconds / DAY), "day");
  return date(at);
}

/** A length of time in its two largest units. @param {number} hours */
export function duration(hours) {
  const seconds = Math.round(hours * HOUR);
  if (seconds < MINUTE) return `${seconds} s`;
  if (seconds < HOUR) return `${Math.floor(seconds / MINUTE)} min`;
  if (seconds < 2 * DAY) return `${Math.floor(seconds / HOUR)} h ${Math.floor((seconds % HOUR) / MINUTE)} min`;
  if (seconds < 60 * DAY) return `${Math.floor(seconds / DAY)} d ${Math.floor((seconds % DAY) / HOUR)} h`;
  return `${number(seconds / DAY)} d`;
}

/** @param {number} count @param {string} one @param {string} [many] */
export const plural = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;

/** "vm.running_low" and "vm_create" as words. @param {string} text */
export const words = (text) => text.replace(/[._]/g, " ").replace(/^./, (letter) => letter.toUpperCase()).replace(/\bvm\b/gi, "machine").replace(/^machine/, "Machine").replace(/^Api$/, "API");
