// Choosing a period: a usual one, any other, and whether to see the one before beside it.
import { period, RANGES, setPeriod } from "../core/series.js";
import { html } from "../core/view.js";
import { Button, Check, Segments } from "./basics.js";

/** @param {{more?: boolean}} properties */
export function PeriodChoice({ more = false }) {
  const chosen = period();
  const local = (/** @type {string} */ at) => (at ? new Date(Date.parse(at) - new Date(at).getTimezoneOffset() * 60_000).toISOString().slice(0, 16) : "");
  const set = (/** @type {"from" | "to"} */ name) => (/** @type {any} */ event) => {
    const at = event.currentTarget.value ? new Date(event.currentTarget.value).toISOString() : null;
    setPeriod(name === "from" ? { from: at, range: null } : { to: at, ...(chosen.from ? {} : { from: new Date(Date.now() - 3_600_000 * Number(chosen.range || 1)).toISOString() }) });
  };
  return html`<div class="row wrap">
    ${more &&
    html`<${Check} label="Compare with before" checked=${chosen.compare} onChange=${(/** @type {boolean} */ on) => setPeriod({ compare: on ? "1" : null })} />
      <${Check} label="Peaks" checked=${chosen.peak} onChange=${(/** @type {boolean} */ on) => setPeriod({ peak: on ? "1" : null })} />`}
    ${more || chosen.from
      ? html`<label class="row small soft">From <input class="input" type="datetime-local" value=${local(chosen.from)} onChange=${set("from")} /></label>
          <label class="row small soft">to <input class="input" type="datetime-local" value=${local(chosen.to)} onChange=${set("to")} /></label>`
      : ""}
    ${chosen.from && html`<${Button} kind="little" icon="cross" onClick=${() => setPeriod({ from: null, to: null })}>Back to now<//>`}
    <${Segments} label="Period" options=${RANGES} value=${chosen.range} onChange=${(/** @type {string} */ range) => setPeriod({ range, from: null, to: null })} />
  </div>`;
}
