// Figures of a machine, a project or an account: which there are, as lines, and in a table that takes them along.
import { address } from "../core/api.js";
import { download } from "../core/download.js";
import { number, percent, rate } from "../core/format.js";
import { asked, FIGURES } from "../core/series.js";
import { html } from "../core/view.js";
import { Button, Card } from "../ui/basics.js";
import { attempt } from "../ui/overlays.js";

/** Title, figures, how they are written, and their greatest value. @type {[string, string[], (value: number) => string, number | undefined][]} */
export const CHARTS = [
  ["CPU", ["cpu_usage"], percent, 100],
  ["Memory and disk", ["memory_usage", "disk_usage"], percent, 100],
  ["Network", ["network_in", "network_out"], rate, undefined],
  ["Disk throughput", ["disk_read", "disk_write"], rate, undefined],
];

/** How one figure is written, and its greatest value. @type {Record<string, [(value: number) => string, number | undefined]>} */
export const FORMATS = Object.fromEntries(CHARTS.flatMap(([, names, format, max]) => names.map((name) => [name, [format, max]])));

/** @param {ReturnType<typeof import("../core/series.js").columnsOf>} columns @param {string[]} names */
export function linesOf(columns, names) {
  return names.flatMap((name) => {
    const before = columns.before(name);
    return [{ name: FIGURES[name], values: columns.now(name) }, ...(before ? [{ name: `${FIGURES[name]} before`, values: before, dashed: true }] : [])];
  });
}

/** @param {{data: any, where: string, chosen: import("../core/series.js").Period, name: string}} properties */
export function Peaks({ data, where, chosen, name }) {
  const change = data.change_percent;
  const save = () => attempt(() => download(address(where, { ...asked(chosen), format: "csv" }).slice((document.body.dataset.root ?? "").length), `${name}.csv`));
  return html`<${Card} title="Averages and peaks" pad=${false} actions=${html`<${Button} kind="little" icon="download" onClick=${save}>CSV<//>`}>
    <div class="table-wrap"><table class="table">
      <thead><tr><th scope="col">Figure</th><th scope="col" class="number">Average</th><th scope="col" class="number">Peak</th>${change && html`<th scope="col" class="number">Against before</th>`}</tr></thead>
      <tbody>${CHARTS.flatMap(([, names, format]) => names.map((key) => html`<tr key=${key}><th scope="row">${FIGURES[key]}</th><td class="number">${show(data.averages[key], format)}</td><td class="number">${show(data.peaks[key], format)}</td>${change && html`<td class="number">${show(change[key], (value) => `${value > 0 ? "+" : ""}${number(value, 1)} %`)}</td>`}</tr>`))}</tbody>
    </table></div>
  <//>`;
}

/** @param {number | null | undefined} value @param {(value: number) => string} format */
const show = (value, format) => (value === null || value === undefined ? "–" : format(value));
