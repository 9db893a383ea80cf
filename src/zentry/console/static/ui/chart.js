// Charts over time. uPlot is fetched when the first chart is shown; every chart also says its figures in words.
import { exactTime } from "../core/format.js";
import { theme, zone } from "../core/preferences.js";
import { html, useEffect, useRef } from "../core/view.js";

const HEIGHT = 190;
const LEAST_WIDTH = 200;
const GRID_WIDTH = 1;
const FEW_POINTS = 25;
const TONES = 4;
const DAYS_FROM_HOURS = 60;

/** @type {Promise<any> | null} */
let library = null;

/** Load the library and its stylesheet once. */
function load() {
  library ??= new Promise((resolve, reject) => {
    const sheet = document.createElement("link");
    sheet.rel = "stylesheet";
    sheet.href = new URL("../vendor/uplot.css", import.meta.url).href;
    sheet.onload = () => import("uplot").then((module) => resolve(module.default), reject);
    sheet.onerror = reject;
    document.head.append(sheet);
  });
  return library;
}

/** @param {string} name */
const role = (name) => {
  const probe = document.createElement("span");
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
};

/**
 * @typedef {object} Series
 * @property {string} name
 * @property {(number | null)[]} values
 * @property {boolean} [dashed]
 */

/**
 * Lines over time. `onZoom` gets the range that was drawn with the pointer.
 * @param {{label: string, times: number[], series: Series[], format: (value: number) => string, max?: number, height?: number, fill?: boolean, from?: number, to?: number, onZoom?: (from: number, to: number) => void}} properties
 */
export function Chart({ label, times, series, format, max, height = HEIGHT, fill = true, from, to, onZoom }) {
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const plot = useRef(/** @type {any} */ (null));
  const data = [times, ...series.map((one) => one.values)];
  const shape = series.map((one) => `${one.name}${one.dashed ?? ""}`).join();
  const zoom = useRef(onZoom);
  zoom.current = onZoom;
  const latest = useRef(data);
  latest.current = data;
  const span = useRef(/** @type {[number, number] | null} */ (null));
  span.current = from && to ? [from, to] : null;

  useEffect(() => {
    let gone = false;
    const holder = /** @type {HTMLElement} */ (box.current);
    const watch = new ResizeObserver(() => plot.current?.setSize({ width: Math.max(LEAST_WIDTH, holder.clientWidth), height }));
    void load().then((uPlot) => {
      if (gone) return;
      plot.current = new uPlot(options({ uPlot, series, format, max, height, fill, width: Math.max(LEAST_WIDTH, holder.clientWidth), zoom, span }), latest.current, holder);
      watch.observe(holder);
    });
    return () => {
      gone = true;
      watch.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
  }, [shape, height, max, theme.value, zone.value]);

  useEffect(() => plot.current?.setData(data), [times, ...series.map((one) => one.values)]);

  return html`<figure class="stack tight">
    <div class="chart" ref=${box} role="img" aria-label=${`${label}. ${inWords(series, times, format)}`} style=${{ minHeight: `${height}px` }}></div>
    ${series.length > 1 && html`<figcaption class="chart-legend" aria-hidden="true">${series.map((one, index) => html`<span class="key"><span class=${`swatch s${tone(series, index)} ${one.dashed ? "dashed" : ""}`}></span>${one.name}</span>`)}</figcaption>`}
  </figure>`;
}

/** @param {Series[]} series @param {number[]} times @param {(value: number) => string} format */
function inWords(series, times, format) {
  if (times.length === 0) return "No figures yet.";
  return series
    .map((one) => {
      const values = /** @type {number[]} */ (one.values.filter((value) => value !== null));
      if (values.length === 0) return `${one.name}: no figures.`;
      return `${one.name}: now ${format(values[values.length - 1])}, between ${format(Math.min(...values))} and ${format(Math.max(...values))}.`;
    })
    .join(" ");
}

/** @param {any} wanted */
function options({ uPlot, series, format, max, height, width, zoom, fill, span }) {
  const faint = role("text-faint");
  const axis = { stroke: faint, font: "11px Inter, system-ui, sans-serif", grid: { stroke: role("line"), width: GRID_WIDTH }, ticks: { show: false } };
  const tooltip = reading(format, series);
  return {
    width,
    height,
    padding: [10, 12, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { size: 7 }, drag: { x: Boolean(zoom.current), y: false, setScale: false } },
    tzDate: zone.value === "UTC" ? (/** @type {number} */ seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC") : undefined,
    scales: { x: { time: true, range: (/** @type {any} */ _plot, /** @type {number} */ low, /** @type {number} */ high) => span.current ?? [low, high > low ? high : low + 60] }, y: { range: (/** @type {any} */ _plot, /** @type {number} */ _low, /** @type {number} */ high) => [0, max ?? Math.max((high || 0) * 1.15, 1e-6)] } },
    axes: [
      { ...axis, space: 80, size: 36, values: timeMarks },
      { ...axis, size: 66, space: 34, values: (/** @type {any} */ _plot, /** @type {number[]} */ marks) => marks.map(format) },
    ],
    series: [
      {},
      ...series.map((/** @type {Series} */ one, /** @type {number} */ index) => {
        const colour = role(`series-${tone(series, index)}`);
        return {
          label: one.name,
          stroke: colour,
          width: 1.8,
          dash: one.dashed ? [6, 5] : undefined,
          fill: fill && series.length === 1 ? colour.replace("rgb(", "rgba(").replace(")", ", 0.1)") : undefined,
          points: { show: (/** @type {any} */ plot) => plot.data[0].length < FEW_POINTS, size: 5, fill: colour },
          spanGaps: false,
        };
      }),
    ],
    hooks: {
      setSelect: [
        (/** @type {any} */ plot) => {
          const { left, width: drawn } = plot.select;
          if (drawn > 4) zoom.current?.(plot.posToVal(left, "x"), plot.posToVal(left + drawn, "x"));
          plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
        },
      ],
      setCursor: [tooltip],
    },
  };
}

/** Marks of the time axis as the locale writes times; days where the range spans several. @param {any} plot @param {number[]} marks */
function timeMarks(plot, marks) {
  const spans = (plot.scales.x.max - plot.scales.x.min) / 3600;
  const timeZone = zone.value === "UTC" ? "UTC" : undefined;
  const format = new Intl.DateTimeFormat(undefined, spans > DAYS_FROM_HOURS ? { month: "short", day: "numeric", timeZone } : { hour: "numeric", minute: "2-digit", timeZone });
  return marks.map((mark) => format.format(mark * 1000));
}

/** Which colour a line has: one that is dashed has that of the line before it. @param {Series[]} series @param {number} index */
const tone = (series, index) => ((series.slice(0, index + 1).filter((one) => !one.dashed).length - 1) % TONES) + 1;

/** What the line says where the pointer is. @param {(value: number) => string} format @param {Series[]} series */
function reading(format, series) {
  /** @type {HTMLElement | null} */
  let note = null;
  return (/** @type {any} */ plot) => {
    note ??= plot.over.appendChild(Object.assign(document.createElement("div"), { className: "chart-note" }));
    const at = plot.cursor.idx;
    const box = /** @type {HTMLElement} */ (note);
    const time = at === null || at === undefined ? undefined : plot.data[0][at];
    box.hidden = time === undefined || plot.cursor.left < 0;
    if (box.hidden) return;
    box.replaceChildren(
      Object.assign(document.createElement("strong"), { textContent: exactTime(time * 1000).replace(/:\d\d(?= [AP]M|$| )/, "") }),
      ...series.map((one, index) => {
        const value = plot.data[index + 1][at];
        return Object.assign(document.createElement("span"), { textContent: `${series.length > 1 ? `${one.name}: ` : ""}${value === null || value === undefined ? "–" : format(value)}` });
      }),
    );
    const half = plot.over.clientWidth / 2;
    box.style.left = plot.cursor.left < half ? `${plot.cursor.left + 12}px` : "auto";
    box.style.right = plot.cursor.left < half ? "auto" : `${plot.over.clientWidth - plot.cursor.left + 12}px`;
  };
}
