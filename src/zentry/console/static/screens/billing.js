// Money: what there is, how fast it goes, and where every cent went.
import { address, post } from "../core/api.js";
import { download } from "../core/download.js";
import { date, duration, money, number, plural, words } from "../core/format.js";
import { Icon } from "../core/icons.js";
import { invalidate, useResource } from "../core/resource.js";
import { link, place, setQuery } from "../core/router.js";
import { html, useEffect, useState } from "../core/view.js";
import { Bones, Button, Card, curl, Empty, Head, Loaded, Money, Notice, Select, Stat, Tabs, TextField, Time } from "../ui/basics.js";
import { FormDialog, lazy } from "../ui/form.js";
import { attempt, toast } from "../ui/overlays.js";
import { Explain } from "./explain.js";
import { useNames } from "./happenings.js";
import { Grants, Prices } from "./prices.js";
import { Redeem } from "./redeem.js";
import { Statement, Statements } from "./statements.js";
import { Usage } from "./usage.js";

const TABS = /** @type {[string, string][]} */ ([["/billing", "Overview"], ["/billing/history", "History"], ["/billing/statements", "Statements"], ["/billing/budgets", "Budgets"], ["/billing/forecast", "Forecast"], ["/billing/prices", "Prices"]]);
const KINDS = /** @type {[string, string][]} */ ([["", "All lines"], ["vm_usage", "Use of machines"], ["vm_create", "Creation of machines"], ["credit_add", "Credit added"], ["credit_deduct", "Credit deducted"]]);
const Budgets = lazy(() => import("./budgets.js"), "Budgets");
const Forecast = lazy(() => import("./forecast.js"), "Forecast");
const PAGE = 25;
const LOW = 5;

/** @param {{tab?: string, id?: string}} properties */
export default function Billing({ tab = "", id }) {
  const View = id ? Statement : ({ history: History, statements: Statements, budgets: Budgets, forecast: Forecast, prices: Prices }[tab] ?? Overview);
  const adding = place.value.query.get("add") === "1";
  const redeeming = place.value.query.get("redeem") === "1";
  return html`<${Head} title="Billing" actions=${html`<${Button} icon="gift" onClick=${() => setQuery({ redeem: "1" })}>Redeem voucher<//><${Button} kind="primary" icon="plus" onClick=${() => setQuery({ add: "1" })}>Add credit<//>`}><p class="soft">Prepaid by the second. The balance cannot go below zero.</p><//>
    <${Tabs} label="About billing" tabs=${TABS} current=${tab ? `/billing/${tab}` : "/billing"} />
    <${View} id=${id} />
    ${adding && html`<${AddCredit} onClose=${() => setQuery({ add: null })} />`}
    ${redeeming && html`<${Redeem} onClose=${() => setQuery({ redeem: null })} />`}`;
}

/** Seconds between two readings of the balance, so that it runs between them as it does on the server. @param {any} credits */
function useRunning(credits) {
  const [, tick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => !document.hidden && tick((count) => count + 1), 1000);
    return () => clearInterval(timer);
  }, []);
  if (!credits) return 0;
  const seconds = Math.max(0, Math.min(60, (Date.now() - Date.parse(credits.timestamp)) / 1000));
  return credits.accrued_cost + (credits.burn_rate_per_hour * seconds) / 3600;
}

function Overview() {
  const credits = useResource("/billing/credits", { every: 10 }).data;
  const analysis = useResource("/billing/cost-analysis?period_days=30", { every: 60 });
  const accrued = useRunning(credits);
  const wait = html`<span class="bone"></span>`;
  const left = credits ? credits.current_credits - accrued : 0;
  const hours = credits?.burn_rate_per_hour > 0 ? left / credits.burn_rate_per_hour : null;
  return html`${credits && left < LOW && html`<${Notice} kind="warn" icon="alert">The credit is low. Machines are stopped before it ends, and start again when there is some.<//>`}
    <div class="grid stats">
      <${Stat} label="Balance" icon="billing" value=${credits ? money(credits.current_credits, { digits: 2 }) : wait} note=${credits ? `${money(credits.available_credits)} free, ${money(credits.held_credits)} held for what runs` : ""} />
      <${Stat} label="Accrued, not yet charged" icon="clock" value=${credits ? money(accrued, { digits: 4 }) : wait} note=${credits ? `${money(credits.burn_rate_per_hour)} per hour right now` : ""} />
      <${Stat} label="Credit lasts" icon="bolt" value=${credits ? (hours === null ? "No end" : duration(hours)) : wait} note=${hours === null ? "nothing runs" : `until ${date(Date.now() + hours * 3_600_000)}`} />
      <${Stat} label="Spent this month" icon="chart" value=${credits ? money(credits.monthly_spending) : wait} note=${credits ? `${money(credits.projected_monthly_cost)} projected, ${money(credits.total_spent)} ever` : ""} />
    </div>
    <div class="grid two">
      <${Card} title="The last seven days"><${Loaded} of=${analysis}>${(/** @type {any} */ data) => html`<${Week} trend=${data.weekly_trend} />`}<//><//>
      <${Usage} />
    </div>
    <${Grants} />
    <${Loaded} of=${analysis} lines=${1}>${(/** @type {any} */ data) => data.cost_optimization_tips.length > 0 && html`<${Card} title="Ways to spend less" pad=${false}><ul class="lines">${data.cost_optimization_tips.map((/** @type {string} */ tip) => html`<li key=${tip}><span class="mark"><${Icon} name="info" /></span><span class="grow wrap-any">${tip}</span></li>`)}</ul><//>`}<//>`;
}

/** @param {{trend: number[]}} properties */
function Week({ trend }) {
  const most = Math.max(...trend, 0.01);
  const day = new Intl.DateTimeFormat(undefined, { weekday: "short" });
  const days = trend.map((_, index) => day.format(Date.now() - (trend.length - 1 - index) * 86_400_000));
  return html`<ol class="columns" aria-label="Cost of each day">
    ${trend.map((cost, index) => html`<li key=${index}><span class="number small soft">${money(cost)}</span><span class="column" aria-hidden="true"><span style=${{ height: `${Math.max(1.5, (cost / most) * 100)}%` }}></span></span><span class="small faint">${days[index]}</span></li>`)}
  </ol>`;
}

/** An address without the prefix under which the server is mounted. @param {string} full */
const below = (full) => full.slice((document.body.dataset.root ?? "").length);

function History() {
  const query = place.value.query;
  const page = Number(query.get("page")) || 1;
  const kind = query.get("kind") ?? "";
  const from = query.get("from") ?? "";
  const to = query.get("to") ?? "";
  const chosen = { action_type: kind, start_date: from, end_date: to && `${to}T23:59:59Z` };
  const filter = below(address("", chosen));
  const where = below(address("", { page, limit: PAGE, ...chosen }));
  const found = useResource(`/billing/history${where}`, { every: 20 });
  const names = useNames();
  const turn = (/** @type {number} */ to) => setQuery({ page: to > 1 ? String(to) : null });
  return html`<${Card} pad=${false}>
    <div class="toolbar">
      <${Select} bare label="Kind of line" value=${kind} options=${KINDS} onChange=${(/** @type {string} */ value) => setQuery({ kind: value, page: null })} />
      <label class="row small soft">From <input class="input" type="date" value=${from} onChange=${(/** @type {any} */ event) => setQuery({ from: event.currentTarget.value, page: null })} /></label>
      <label class="row small soft">to <input class="input" type="date" value=${to} onChange=${(/** @type {any} */ event) => setQuery({ to: event.currentTarget.value, page: null })} /></label>
      <span class="grow"></span>
      <${Button} icon="download" onClick=${() => attempt(() => download(`/billing/history/export${filter}`, "history.csv"))}>CSV<//>
    </div>
    <${Loaded} of=${found} lines=${8}>
      ${(/** @type {any} */ data) =>
        data.items.length === 0
          ? html`<${Empty} icon="billing" title="No lines" command=${curl("GET", "/billing/history")}>Every credit and every charge is a line here, and none is ever changed.<//>`
          : html`<div class="table-wrap"><table class="table folds">
                <thead><tr><th scope="col">For</th><th scope="col">Machine</th><th scope="col">When</th><th scope="col" class="number">Amount</th></tr></thead>
                <tbody>
                  ${data.items.map(
                    (/** @type {any} */ item) => html`<tr key=${item.id}>
                      <td class="wrap-any">${item.description}<br /><span class="small faint">${words(item.action_type)}</span></td>
                      <td class="hide-phone">${item.vm_id && html`<a class="wrap-any" href=${link(`/machines/${item.vm_id}/costs`)}>${names.get(item.vm_id) ?? "machine"}</a>`}</td>
                      <td class="faint small hide-phone"><${Time} at=${item.created_at} plain /></td>
                      <td class="number"><${Money} amount=${item.amount} sign /> <${Explain} id=${item.id} about=${item.description} /></td>
                    </tr>`,
                  )}
                </tbody>
              </table></div>
              <footer class="row apart"><span class="small faint number">${plural(data.total, "line")}, page ${number(data.page)} of ${number(Math.max(1, data.pages))}</span>
                <span class="row"><${Button} kind="little" icon="left" disabled=${!data.has_prev} onClick=${() => turn(page - 1)}>Newer<//><${Button} kind="little" disabled=${!data.has_next} onClick=${() => turn(page + 1)}>Older<${Icon} name="right" /><//></span></footer>`}
    <//>
  <//>`;
}

/** @param {{onClose: () => void}} properties */
function AddCredit({ onClose }) {
  const [amount, setAmount] = useState("20");
  const [description, setDescription] = useState("");
  const credits = useResource("/billing/credits").data;
  const wanted = Number(amount);
  const isAmount = Number.isFinite(wanted) && wanted > 0;
  const does = async () => {
    toast((await post("/billing/credits/add", { amount: wanted, description })).message, "good");
    void invalidate("/billing");
  };
  return html`<${FormDialog} title="Add credit" verb=${`Add ${isAmount ? money(wanted) : ""}`} onClose=${onClose} does=${does} ready=${isAmount} fields=${["amount", "description"]}>
    ${(/** @type {any} */ error) => html`<${TextField} label="Amount" autofocus inputmode="decimal" value=${amount} onInput=${setAmount} problem=${amount && !isAmount ? "Write an amount above zero." : error?.of("amount")} />
      <${TextField} label="What for" hint="It is written on the line of the bill." value=${description} onInput=${setDescription} problem=${error?.of("description")} />
      ${credits ? isAmount && html`<p class="soft number">The balance becomes ${money(credits.current_credits + wanted)}.</p>` : html`<${Bones} lines=${1} />`}`}
  <//>`;
}
