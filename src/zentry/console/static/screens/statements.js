// Months that are closed: a list, and one of them with its items and its lines to take along.
import { path } from "../core/api.js";
import { download } from "../core/download.js";
import { date, duration, money, number, words } from "../core/format.js";
import { useResource } from "../core/resource.js";
import { link } from "../core/router.js";
import { html } from "../core/view.js";
import { Button, Card, curl, Empty, Loaded, Money, Stat } from "../ui/basics.js";
import { attempt } from "../ui/overlays.js";
import { useNames } from "./happenings.js";

/** @param {any} statement */
const period = (statement) => `${date(statement.period_start)} – ${date(Date.parse(statement.period_end) - 1)}`;

export function Statements() {
  const found = useResource("/billing/statements?limit=60", { every: 60 });
  return html`<${Card} pad=${false}>
    <${Loaded} of=${found} lines=${5}>
      ${(/** @type {any} */ data) =>
        data.statements.length === 0
          ? html`<${Empty} icon="billing" title="No statement yet" command=${curl("GET", "/billing/statements")}>At the end of each month its lines become a statement that never changes again.<//>`
          : html`<div class="table-wrap"><table class="table folds">
              <thead><tr><th scope="col">Statement</th><th scope="col" class="number">Opening</th><th scope="col" class="number">Added</th><th scope="col" class="number">Charged</th><th scope="col" class="number">Closing</th></tr></thead>
              <tbody>${data.statements.map((/** @type {any} */ one) => html`<tr key=${one.id}><td><a href=${link(`/billing/statements/${one.id}`)}>No. ${number(one.number)}</a><br /><span class="small faint">${period(one)}</span></td><td class="number hide-phone">${money(one.opening_balance)}</td><td class="number hide-phone">${money(one.added)}</td><td class="number hide-phone">${money(one.charged)}</td><td class="number">${money(one.closing_balance)}</td></tr>`)}</tbody>
            </table></div>`}
    <//>
  <//>`;
}

/** @param {{id: string}} properties */
export function Statement({ id }) {
  const where = path`/billing/statements/${id}`;
  const found = useResource(where);
  const names = useNames();
  if (found.error?.status === 404) return html`<${Card}><${Empty} icon="billing" title="There is no such statement" action=${html`<${Button} href="/billing/statements">To the statements<//>`} /><//>`;
  return html`<${Loaded} of=${found} lines=${8}>
    ${(/** @type {any} */ one) => html`<div class="stack">
      <div class="row apart wrap"><h2>Statement no. ${number(one.number)}, ${period(one)}</h2><span class="row wrap">
        <${Button} icon="download" onClick=${() => attempt(() => download(`${where}/csv`, `statement-${one.number}.csv`))}>CSV<//>
        <${Button} icon="download" onClick=${() => attempt(() => download(`${where}/html`, `statement-${one.number}.html`))}>To print<//></span></div>
      <div class="grid stats">
        <${Stat} label="Opening balance" value=${money(one.opening_balance)} />
        <${Stat} label="Added" value=${money(one.added)} />
        <${Stat} label="Charged" value=${money(one.charged)} note=${one.deducted ? `${money(one.deducted)} deducted` : ""} />
        <${Stat} label="Closing balance" value=${money(one.closing_balance)} note=${`${number(one.line_count)} lines, entries ${number(one.first_position)} to ${number(one.last_position)}`} />
      </div>
      <${Card} title="Items" pad=${false}>
        <div class="table-wrap"><table class="table folds">
          <thead><tr><th scope="col">What</th><th scope="col">For</th><th scope="col" class="number">Time</th><th scope="col" class="number">Amount</th></tr></thead>
          <tbody>${one.items.map((/** @type {any} */ item, /** @type {number} */ index) => html`<tr key=${index}><td>${words(item.action_type)} <span class="faint small">${item.resource_type ?? ""}</span></td><td class="hide-phone wrap-any">${names.get(item.vm_id) ?? names.get(item.project_id) ?? ""}</td><td class="number hide-phone">${item.seconds ? duration(item.seconds / 3600) : "–"}</td><td class="number"><${Money} amount=${item.amount} sign /></td></tr>`)}</tbody>
        </table></div>
      <//>
    </div>`}
  <//>`;
}
