// What everything costs, now and from a day on; and credit that ends.
import { date, money, words } from "../core/format.js";
import { useResource } from "../core/resource.js";
import { html } from "../core/view.js";
import { Badge, Card, Loaded, Meter } from "../ui/basics.js";

/** Price lists, those to come first. */
export function Prices() {
  const found = useResource("/billing/price-lists", { every: 300 });
  return html`<${Loaded} of=${found}>
    ${(/** @type {any} */ data) => html`<div class="stack">${data.price_lists.map((/** @type {any} */ list) => html`<${Card} key=${list.version} pad=${false} title=${`Price list ${list.version}`} actions=${list.in_force ? html`<${Badge} kind="good" icon="check">in force<//>` : html`<span class="small soft">from ${date(list.effective_at)}</span>`}>
      <div class="table-wrap"><table class="table"><thead><tr><th scope="col">What</th><th scope="col">Unit</th><th scope="col" class="number">Price</th></tr></thead>
        <tbody>${Object.entries(list.prices).map(([item, price]) => html`<tr key=${item}><td>${words(item)}</td><td class="small faint">${words(/** @type {any} */ (price).unit).toLowerCase()}</td><td class="number">${money(/** @type {any} */ (price).price, { digits: 6 })}</td></tr>`)}</tbody></table></div>
    <//>`)}</div>`}
  <//>`;
}

/** Credit that ends by itself, if there is any. */
export function Grants() {
  const grants = useResource("/billing/grants", { every: 60 }).data?.grants ?? [];
  if (grants.length === 0) return "";
  return html`<${Card} title="Credit that ends" pad=${false}><ul class="lines">
    ${grants.map((/** @type {any} */ grant) => html`<li key=${grant.id}><div class="grow stack tight">
      <div class="row apart wrap"><span class="wrap-any">${grant.reason}</span><span class="number small"><strong>${money(grant.remaining)}</strong> <span class="faint">of ${money(grant.amount)}, until ${date(grant.expires_at)}</span></span></div>
      <${Meter} value=${grant.remaining} max=${grant.amount} label=${`What is left of ${grant.reason}`} warnAt=${2} />
    </div></li>`)}
  </ul><//>`;
}
