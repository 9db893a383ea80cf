// What becomes of the credit: as it is, and with machines, times of rest and payments that are only thought of.
import { dateTime, money, plural } from "../core/format.js";
import { useResource } from "../core/resource.js";
import { html, useMemo, useState } from "../core/view.js";
import { Button, Card, curl, Loaded, Notice, Segments, Select, Snippet, Stat, TextField } from "../ui/basics.js";
import { Chart } from "../ui/chart.js";
import { Dialog } from "../ui/overlays.js";
import { useNames } from "./happenings.js";

const MINUTES_OF_A_DAY = 1440;
const SPANS = /** @type {[string, string][]} */ ([["7", "7 days"], ["30", "30 days"], ["90", "90 days"], ["365", "a year"]]);
const FAILURES = /** @type {Record<string, string>} */ ({ "create refused": "cannot be created", "start refused": "cannot start", "stopped for credit": "is stopped because the credit ends" });
const MOST_FAILURES = 6;

/** @typedef {{name: string, instance_type: string, count: number, stop_at?: string, start_at?: string}} Planned */
/** @typedef {{after_minutes: number, amount: number}} Payment */

export function Forecast() {
  const [days, setDays] = useState("30");
  const [machines, setMachines] = useState(/** @type {Planned[]} */ ([]));
  const [credits, setCredits] = useState(/** @type {Payment[]} */ ([]));
  const [adding, setAdding] = useState("");
  const plan = { days: Number(days), ...(machines.length > 0 ? { machines } : {}), ...(credits.length > 0 ? { credits } : {}) };
  const found = useResource("/billing/forecast", { body: plan, every: 120 });
  return html`<${Card} title="What becomes of the credit" actions=${html`<${Segments} label="How far ahead" options=${SPANS} value=${days} onChange=${setDays} />`}>
      <${Loaded} of=${found} lines=${8}>${(/** @type {any} */ told) => html`<${Outcome} told=${told} />`}<//>
    <//>
    <${Card} title="What if" actions=${html`<${Button} icon="machine" onClick=${() => setAdding("machine")}>Add machines<//><${Button} icon="billing" onClick=${() => setAdding("credit")}>Add credit<//>`} pad=${false}>
      ${machines.length + credits.length === 0
        ? html`<div class="body stack"><p class="soft">The chart goes on as it is now. Add machines or a payment to see what they would change; nothing is created and nothing is charged.</p><${Snippet} text=${curl("POST", "/billing/forecast", { days: 30, machines: [{ name: "web", instance_type: "small", count: 2, stop_at: "20:00", start_at: "06:00" }] })} /></div>`
        : html`<ul class="lines">
            ${machines.map((one, index) => html`<li key=${one.name}><span class="grow">${plural(one.count, "machine")} of ${one.instance_type}${one.stop_at && html` <span class="small faint">resting from ${one.stop_at} to ${one.start_at} (UTC)</span>`}</span><${Button} kind="bare little" icon="cross" label=${`Leave out ${one.name}`} onClick=${() => setMachines(machines.filter((_, at) => at !== index))} /></li>`)}
            ${credits.map((one, index) => html`<li key=${`credit-${index}`}><span class="grow">${money(one.amount)} of credit <span class="small faint">in ${plural(one.after_minutes / MINUTES_OF_A_DAY, "day")}</span></span><${Button} kind="bare little" icon="cross" label=${`Leave out ${money(one.amount)}`} onClick=${() => setCredits(credits.filter((_, at) => at !== index))} /></li>`)}
          </ul>`}
    <//>
    ${adding === "machine" && html`<${PlanMachines} number=${machines.length + 1} onClose=${() => setAdding("")} onDone=${(/** @type {Planned} */ one) => setMachines([...machines, one])} />`}
    ${adding === "credit" && html`<${PlanCredit} most=${Number(days)} onClose=${() => setAdding("")} onDone=${(/** @type {Payment} */ one) => setCredits([...credits, one])} />`}`;
}

/** @param {{told: any}} properties */
function Outcome({ told }) {
  const { times, series } = useMemo(() => {
    const of = (/** @type {string} */ name) => told.curve.map((/** @type {any} */ point) => point[name]);
    return {
      times: told.curve.map((/** @type {any} */ point) => Date.parse(point.at) / 1000),
      series: [{ name: "Balance", values: of("credits") }, { name: "Spent by then", values: of("spent") }],
    };
  }, [told]);
  const names = useNames();
  const first = told.first_failure;
  const says = (/** @type {any} */ one) => html`<strong class="wrap-any">${names.get(one.name) ?? one.name}</strong> ${FAILURES[one.what] ?? one.what}`;
  return html`<div class="stack">
    ${first
      ? html`<${Notice} kind="warn" icon="alert"><div class="stack tight"><span>${says(first)} on ${dateTime(first.at)}${first.required !== null ? `: ${money(first.required)} would be needed and ${money(first.available)} is free` : ""}.</span>
          ${told.failures.length > 1 && html`<ul class="small soft">${told.failures.slice(1, MOST_FAILURES).map((/** @type {any} */ one) => html`<li>${dateTime(one.at)}: ${says(one)}</li>`)}</ul>`}</div><//>`
      : html`<${Notice} kind="good" icon="check">The credit lasts until ${dateTime(told.until)}.<//>`}
    <div class="grid stats">
      <${Stat} label="Spent by then" value=${money(told.spent, { digits: 2 })} />
      <${Stat} label="Balance then" value=${money(told.credits, { digits: 2 })} />
    </div>
    <${Chart} label="Credit" times=${times} series=${series} format=${(/** @type {number} */ value) => money(value, { digits: 2 })} height=${240} from=${times[0]} to=${times[times.length - 1]} />
  </div>`;
}

/** @param {{number: number, onClose: () => void, onDone: (one: Planned) => void}} properties */
function PlanMachines({ number, onClose, onDone }) {
  const types = useResource("/instance-types").data ?? [];
  const [type, setType] = useState("");
  const [count, setCount] = useState("1");
  const [rest, setRest] = useState({ stop: "", start: "" });
  const many = Number(count);
  const ready = Number.isInteger(many) && many >= 1 && many <= 100 && types.length > 0 && Boolean(rest.stop) === Boolean(rest.start);
  const go = () => {
    if (!ready) return;
    onDone({ name: `plan-${number}`, instance_type: type || types[0].name, count: many, ...(rest.stop ? { stop_at: rest.stop, start_at: rest.start } : {}) });
    onClose();
  };
  return html`<${Dialog} title="Machines that might be" onClose=${onClose} onSubmit=${go} foot=${html`<${Button} onClick=${onClose}>Cancel<//><${Button} type="submit" kind="primary" disabled=${!ready}>Show<//>`}>
    <${Select} label="Size" value=${type || types[0]?.name} onChange=${setType} options=${types.map((/** @type {any} */ one) => [one.name, `${one.name}, ${money(one.price_per_hour)} per hour`])} />
    <${TextField} label="How many" autofocus inputmode="numeric" value=${count} onInput=${setCount} problem=${count && !(many >= 1 && many <= 100) ? "From 1 to 100." : ""} />
    <div class="grid"><${TextField} label="Stop every day at (UTC)" type="time" value=${rest.stop} onInput=${(/** @type {string} */ stop) => setRest({ ...rest, stop })} /><${TextField} label="Start again at" type="time" value=${rest.start} onInput=${(/** @type {string} */ start) => setRest({ ...rest, start })} /></div>
  <//>`;
}

/** @param {{most: number, onClose: () => void, onDone: (one: Payment) => void}} properties */
function PlanCredit({ most, onClose, onDone }) {
  const [amount, setAmount] = useState("20");
  const [days, setDays] = useState("7");
  const ready = Number(amount) > 0 && Number(days) >= 0 && Number(days) <= most;
  const go = () => {
    if (!ready) return;
    onDone({ amount: Number(amount), after_minutes: Math.round(Number(days) * MINUTES_OF_A_DAY) });
    onClose();
  };
  return html`<${Dialog} title="Credit that might come" onClose=${onClose} onSubmit=${go} foot=${html`<${Button} onClick=${onClose}>Cancel<//><${Button} type="submit" kind="primary" disabled=${!ready}>Show<//>`}>
    <div class="grid"><${TextField} label="Amount" autofocus inputmode="decimal" value=${amount} onInput=${setAmount} /><${TextField} label="In how many days" inputmode="numeric" value=${days} onInput=${setDays} problem=${Number(days) > most ? "That is beyond the chart." : ""} /></div>
  <//>`;
}
