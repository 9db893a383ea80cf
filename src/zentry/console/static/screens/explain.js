// Why a line of the bill is what it is: the interval, the price, the arithmetic, and the entries of the books.
import { path } from "../core/api.js";
import { exactTime, money, number, words } from "../core/format.js";
import { useResource } from "../core/resource.js";
import { html, useState } from "../core/view.js";
import { Button, Loaded, Notice, Time } from "../ui/basics.js";
import { Dialog } from "../ui/overlays.js";

const MICROS = 1_000_000;

/** A button that explains a line. @param {{id: string, about: string}} properties */
export function Explain({ id, about }) {
  const [open, setOpen] = useState(false);
  return html`<${Button} kind="bare little" icon="info" label=${`Explain: ${about}`} onClick=${() => setOpen(true)} />${open && html`<${Explanation} id=${id} onClose=${() => setOpen(false)} />`}`;
}

/** @param {{id: string, onClose: () => void}} properties */
function Explanation({ id, onClose }) {
  const found = useResource(path`/billing/records/${id}/explain`);
  return html`<${Dialog} title="Why this amount" large onClose=${onClose}>
    <${Loaded} of=${found} lines=${6}>
      ${(/** @type {any} */ told) => html`<div class="stack">
        <div class="quote"><div class="price"><strong>${money(told.amount, { sign: true, digits: 6 })}</strong></div><p class="wrap-any">${told.description}</p><code class="wrap-any formula">${told.formula}</code></div>
        ${told.difference_micros === 0 ? html`<${Notice} kind="good" icon="check">Computed anew from the interval and the price, it is the same to the millionth.<//>` : html`<${Notice} kind="warn" icon="alert">Computed anew it differs by ${number(told.difference_micros)} millionths.<//>`}
        <dl class="facts">
          <dt>Written</dt><dd>${exactTime(told.created_at)}</dd>
          ${told.interval && html`<dt>Interval</dt><dd>${exactTime(told.interval.period_start)} <br />to ${exactTime(told.interval.period_end)}: ${number(told.interval.to_second - told.interval.from_second)} s</dd>
            <dt>Meter</dt><dd>${words(told.interval.meter)}, running since <${Time} at=${told.interval.segment_started_at} plain /></dd>`}
          ${told.price && html`<dt>Price</dt><dd class="number">${money(told.price.micros / MICROS)} ${words(told.price.unit).toLowerCase()} for ${told.price.item}, price list ${told.price.version}</dd>`}
          ${told.refunded_micros > 0 && html`<dt>Refunded</dt><dd class="number">${money(told.refunded_micros / MICROS)}</dd>`}
        </dl>
        ${told.entries.length > 0 &&
        html`<section class="stack tight"><h3>Entries in the books</h3><div class="table-wrap" tabindex="0" role="region" aria-label="Entries in the books"><table class="table">
          <thead><tr><th scope="col" class="number">Position</th><th scope="col">From</th><th scope="col">To</th><th scope="col" class="number">Amount</th></tr></thead>
          <tbody>${told.entries.map((/** @type {any} */ entry) => html`<tr key=${entry.id}><td class="number">${number(entry.position)}</td><td class="mono small wrap-any">${entry.debit}</td><td class="mono small wrap-any">${entry.credit}</td><td class="number">${money(entry.amount_micros / MICROS, { digits: 6, fixed: true })}</td></tr>`)}</tbody>
        </table></div></section>`}
        ${told.events.length > 0 && html`<section class="stack tight"><h3>What happened</h3><ul class="small">${told.events.map((/** @type {any} */ event) => html`<li key=${event.id}>${words(event.kind)} <span class="faint">${exactTime(event.created_at)}</span></li>`)}</ul></section>`}
      </div>`}
    <//>
  <//>`;
}
