// Budgets: what the account, a project or a label may cost in a month, and what happens then.
import { path, post, put, remove } from "../core/api.js";
import { money, number } from "../core/format.js";
import { invalidate, useResource } from "../core/resource.js";
import { html, useState } from "../core/view.js";
import { Badge, Button, Card, curl, Empty, Loaded, Meter, Segments, Select, TextField } from "../ui/basics.js";
import { FormDialog } from "../ui/form.js";
import { attempt, confirm, Menu, toast } from "../ui/overlays.js";

const ACTIONS = /** @type {[string, string][]} */ ([["notify", "tell me"], ["block_creation", "refuse new machines"], ["suspend", "stop what runs"]]);
const BASES = /** @type {[string, string][]} */ ([["actual", "spent"], ["forecast", "expected by the month's end"]]);
const UNITS = /** @type {[string, string][]} */ ([["percent", "% of it"], ["amount", "as an amount"]]);
const MOST_THRESHOLDS = 20;

export function Budgets() {
  const found = useResource("/billing/budgets", { every: 30 });
  const projects = useResource("/projects").data ?? [];
  const [form, setForm] = useState(/** @type {any} */ (null));
  const drop = async (/** @type {any} */ budget) => {
    if (!(await confirm({ title: `Delete ${budget.name}?`, text: "What it holds back is free again at once.", verb: "Delete budget", typed: budget.name }))) return;
    await attempt(() => remove(path`/billing/budgets/${budget.id}`), "The budget is deleted");
    await invalidate("/billing/budgets");
  };
  const make = html`<${Button} kind="primary" icon="plus" onClick=${() => setForm({ budget: null })}>Set budget<//>`;
  return html`<${Card} title="Budgets of a month" pad=${false} actions=${found.data?.length > 0 && make}>
      <${Loaded} of=${found}>
        ${(/** @type {any[]} */ budgets) =>
          budgets.length === 0
            ? html`<${Empty} icon="shield" title="No budgets" action=${make} command=${curl("POST", "/billing/budgets", { name: "month", amount: 50, thresholds: [{ basis: "actual", percent: 80, action: "notify" }] })}>A budget tells you when a month gets dear, refuses new machines, or stops what runs: for everything, for a project, or for a label.<//>`
            : html`<ul class="lines">${budgets.map((budget) => html`<${Budget} key=${budget.id} budget=${budget} projects=${projects} change=${() => setForm({ budget })} drop=${() => void drop(budget)} />`)}</ul>`}
      <//>
    <//>
    ${form && html`<${SetBudget} budget=${form.budget} projects=${projects} onClose=${() => setForm(null)} />`}`;
}

/** @param {any} budget @param {any[]} projects */
function scopeOf(budget, projects) {
  if (budget.project_id) return `project ${projects.find((one) => one.id === budget.project_id)?.name ?? ""}`;
  return budget.label_key ? `${budget.label_key}=${budget.label_value}` : "everything";
}

/** @param {{budget: any, projects: any[], change: () => void, drop: () => void}} properties */
const Budget = ({ budget, projects, change, drop }) => html`<li>
  <div class="grow stack tight">
    <div class="row apart wrap"><span><span class="strong wrap-any">${budget.name}</span> <span class="small faint wrap-any">${scopeOf(budget, projects)}</span></span>
      <span class="number small"><strong>${money(budget.actual)}</strong> <span class="faint">of ${money(budget.amount)}, ${money(budget.forecast)} expected</span></span></div>
    <${Meter} value=${budget.actual} max=${budget.amount} label=${`Spent of ${budget.name}`} />
    <span class="row wrap">${budget.thresholds.map((/** @type {any} */ one) => html`<${Badge} kind=${one.is_reached ? "warn" : ""} icon=${one.is_reached ? "alert" : "bell"}>${ACTIONS.find(([key]) => key === one.action)?.[1]} at ${money(one.amount)}${one.basis === "forecast" ? " expected" : ""}<//>`)}</span>
  </div>
  <${Menu} label=${`Actions for ${budget.name}`} items=${[{ icon: "settings", label: "Change", does: change }, null, { icon: "trash", label: "Delete", danger: true, does: drop }]} />
</li>`;

/** @typedef {{basis: string, unit: string, value: string, action: string}} Row */

/** A threshold as it is typed: in percent where that is a whole number. @param {any} one @param {number} amount @returns {Row} */
function rowOf(one, amount) {
  const percent = Math.round((one.amount / amount) * 100 * 1e6) / 1e6;
  const isWhole = Number.isInteger(percent);
  return { basis: one.basis, unit: isWhole ? "percent" : "amount", value: String(isWhole ? percent : one.amount), action: one.action };
}

/** @param {{budget: any, projects: any[], onClose: () => void}} properties */
function SetBudget({ budget, projects, onClose }) {
  const [name, setName] = useState(budget?.name ?? "");
  const [amount, setAmount] = useState(String(budget?.amount ?? "50"));
  const [scope, setScope] = useState("all");
  const [project, setProject] = useState(projects[0]?.id ?? "");
  const [label, setLabel] = useState("");
  const [rows, setRows] = useState(/** @type {Row[]} */ (budget?.thresholds.map((/** @type {any} */ one) => rowOf(one, budget.amount)) ?? [{ basis: "actual", unit: "percent", value: "80", action: "notify" }]));
  const [key, value = ""] = label.split("=").map((part) => part.trim());
  const ready = Number(amount) > 0 && rows.every((row) => Number(row.value) > 0) && (scope !== "label" || Boolean(key));
  const set = (/** @type {number} */ index, /** @type {Partial<Row>} */ change) => setRows(rows.map((row, at) => (at === index ? { ...row, ...change } : row)));
  const does = async () => {
    const thresholds = rows.map((row) => ({ basis: row.basis, [row.unit]: Number(row.value), action: row.action }));
    const wish = { name: name.trim(), amount: Number(amount), thresholds };
    if (budget) await put(path`/billing/budgets/${budget.id}`, wish);
    else await post("/billing/budgets", { ...wish, ...(scope === "project" ? { project_id: project } : {}), ...(scope === "label" ? { label_key: key, label_value: value } : {}) });
    toast("The budget holds from now on", "good");
    void invalidate("/billing/budgets");
  };
  return html`<${FormDialog} title=${budget ? `Change ${budget.name}` : "Set a budget"} verb=${budget ? "Save" : "Set budget"} large onClose=${onClose} does=${does} ready=${ready} fields=${["name", "amount"]}>
    ${(/** @type {any} */ error) => html`<div class="grid"><${TextField} label="Name" autofocus autocomplete="off" value=${name} onInput=${setName} problem=${error?.of("name")} />
        <${TextField} label="Amount of a month" inputmode="decimal" value=${amount} onInput=${setAmount} problem=${error?.of("amount")} /></div>
      ${!budget &&
      html`<div class="stack tight"><span class="field-label">For</span><div><${Segments} label="What it is for" options=${[["all", "Everything"], ["project", "A project"], ["label", "A label"]]} value=${scope} onChange=${setScope} /></div></div>
        ${scope === "project" && html`<${Select} label="Project" value=${project} onChange=${setProject} options=${projects.map((one) => [one.id, one.name])} />`}
        ${scope === "label" && html`<${TextField} label="Label" placeholder="team=blue" value=${label} onInput=${setLabel} problem=${error?.of("label_key") || error?.of("label_value")} />`}`}
      <fieldset class="stack tight"><legend class="field-label">What happens</legend>
        ${rows.map((row, index) => html`<div class="row wrap threshold" key=${index}>
          <input class="input" aria-label="At" inputmode="decimal" value=${row.value} onInput=${(/** @type {any} */ event) => set(index, { value: event.currentTarget.value })} />
          <${Select} bare label="Unit" value=${row.unit} options=${UNITS} onChange=${(/** @type {string} */ unit) => set(index, { unit })} />
          <${Select} bare label="Of what is" value=${row.basis} options=${BASES} onChange=${(/** @type {string} */ basis) => set(index, { basis })} />
          <${Select} bare label="Then" value=${row.action} options=${ACTIONS} onChange=${(/** @type {string} */ action) => set(index, { action })} />
          ${rows.length > 1 && html`<${Button} kind="bare" icon="cross" label=${`Leave out ${number(Number(row.value))}`} onClick=${() => setRows(rows.filter((_, at) => at !== index))} />`}
        </div>`)}
        ${rows.length < MOST_THRESHOLDS && html`<div><${Button} kind="little" icon="plus" onClick=${() => setRows([...rows, { basis: "actual", unit: "percent", value: "100", action: "notify" }])}>Another threshold<//></div>`}
      </fieldset>`}
  <//>`;
}
