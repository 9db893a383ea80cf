// For administrators: is the platform well, do its books hold, and how does the simulated world misbehave.
import { ApiError, path, patch, post, remove } from "../core/api.js";
import { money, number, percent, words } from "../core/format.js";
import { invalidate, useResource } from "../core/resource.js";
import { isAdmin } from "../core/session.js";
import { html, useState } from "../core/view.js";
import { Badge, Button, Card, Empty, Head, Loaded, Meter, Notice, Select, Stat, State, Tabs, TextField, Time } from "../ui/basics.js";
import { attempt, confirm, Dialog, toast } from "../ui/overlays.js";

const TABS = /** @type {[string, string][]} */ ([["/admin", "Health"], ["/admin/books", "Books"], ["/admin/simulator", "Simulator"]]);
const ACTIONS = ["", "ensure_created", "ensure_running", "ensure_stopped", "reboot", "ensure_absent", "resize", "rebuild", "snapshot", "restore", "observe", "inventory", "sample"];
const KINDS = /** @type {[string, string][]} */ ([["unavailable", "unavailable: a retry may help"], ["rejected", "rejected: it will not"], ["lost_reply", "lost reply"], ["slow", "slow"], ["duplicate", "duplicate reply"]]);

/** @param {{tab?: string}} properties */
export default function Admin({ tab = "" }) {
  if (!isAdmin.value) return html`<${Head} title="Administration" /><${Card}><${Empty} icon="lock" title="This is for administrators">Ask whoever runs this platform: <code>zentry admin</code> grants the role.<//><//>`;
  const View = { books: Books, simulator: Simulator }[tab] ?? Health;
  return html`<${Head} title="Administration"><p class="soft">The platform itself.</p><//>
    <${Tabs} label="Administration" tabs=${TABS} current=${tab ? `/admin/${tab}` : "/admin"} />
    <${View} />`;
}

function Health() {
  const found = useResource("/monitoring/system/health", { every: 5 });
  return html`<${Loaded} of=${found} lines=${8}>
    ${(/** @type {any} */ data) => html`<div class="grid stats">
        <${Stat} label="Platform" icon="shield" value=${html`<${State} state=${data.overall_status} />`} note=${data.recommendations[0] ?? "No recommendation"} />
        <${Stat} label="Requests, p95" icon="chart" value=${html`${number(data.performance.request_p95_ms, 1)} <small>ms</small>`} note=${`${number(data.performance.requests)} lately, ${number(data.performance.request_average_ms, 1)} ms on average`} />
        <${Stat} label="Queue" icon="clock" value=${number(data.performance.pending_operations + data.performance.running_operations)} note=${`lag ${number(data.performance.queue_lag_seconds, 1)} s, oldest ${number(data.performance.oldest_operation_seconds, 1)} s`} />
        <${Stat} label="Meter lag" icon="billing" value=${html`${number(data.performance.meter_lag_seconds, 1)} <small>s</small>`} />
      </div>
      <div class="grid two">
        <${Card} title="Components" pad=${false}><ul class="lines">${Object.entries(data.components).map(([name, part]) => html`<li key=${name}><span class="grow"><span class="strong">${words(name)}</span><br /><span class="small faint wrap-any">${/** @type {any} */ (part).reason}</span></span><${State} state=${/** @type {any} */ (part).status} /></li>`)}</ul><//>
        <${Card} title="Capacity">
          <div class="stack">
            ${[["Hosts online", data.capacity.hosts_online, data.capacity.hosts_total], ["vCPUs", data.capacity.vcpus_used, data.capacity.vcpus_total], ["Memory (MiB)", data.capacity.memory_mib_used, data.capacity.memory_mib_total], ["Machines running", data.capacity.vms_running, data.capacity.vms_total]].map(
              ([name, used, all]) => html`<div class="stack tight" key=${name}><div class="row apart"><span class="soft">${name}</span><span class="number small">${number(used)} of ${number(all)}</span></div><${Meter} value=${used} max=${all} label=${name} warnAt=${name === "vCPUs" || name === "Memory (MiB)" ? 0.85 : 2} /></div>`,
            )}
          </div>
        <//>
      </div>
      ${data.alerts.length > 0 && html`<${Card} title="Alerts" pad=${false}><ul class="lines">${data.alerts.map((/** @type {any} */ alert, /** @type {number} */ index) => html`<li key=${index}><${State} state=${alert.severity} /><span class="grow wrap-any">${alert.message}</span></li>`)}</ul><//>`}`}
  <//>`;
}

function Books() {
  const [report, setReport] = useState(/** @type {any} */ (null));
  const [busy, setBusy] = useState(false);
  const drift = useResource("/quotas/drift");
  const tables = useResource("/health/database/statistics");
  const check = useResource("/admin/invariants");
  const shown = report ?? check.data;
  const again = async () => {
    setBusy(true);
    await check.reload();
    setReport(null);
    setBusy(false);
  };
  return html`<div class="grid two">
    <${Card} title="Invariants" actions=${html`<${Button} kind="little" icon="refresh" busy=${busy} onClick=${again}>Check now<//>`}>
      ${check.error ? html`<${Notice} kind="bad" icon="alert">${check.error.message}<//>` : !shown ? html`<p class="soft" role="status">Every balance is computed anew from the ledger…</p>` : shown.violations.length === 0
        ? html`<${Notice} kind="good" icon="check">The books hold: ${number(shown.ledger_entries)} entries were recomputed in ${number(shown.seconds, 2)} s, <${Time} at=${shown.checked_at} />.<//>`
        : html`<${Notice} kind="bad" icon="alert"><ul>${shown.violations.map((/** @type {string} */ text) => html`<li class="wrap-any" key=${text}>${text}</li>`)}</ul><//>`}
    <//>
    <${Credit} />
    <${Card} title="Quotas against a recount" pad=${false}>
      <${Loaded} of=${drift}>${(/** @type {any} */ data) => (data.items.length === 0 ? html`<${Empty} icon="check" title="No drift">Every counter is what a recount says.<//>` : html`<ul class="lines">${data.items.map((/** @type {any} */ item) => html`<li><span class="grow mono small wrap-any">${item.owner_id}</span><span>${item.resource}</span><span class="number">${item.used} / ${item.counted}</span></li>`)}</ul>`)}<//>
    <//>
    <${Card} title="Rows of the database" pad=${false}>
      <${Loaded} of=${tables}>${(/** @type {any} */ data) => html`<div class="table-wrap"><table class="table"><thead><tr><th scope="col">Table</th><th scope="col" class="number">Rows</th></tr></thead><tbody>${Object.entries(data.tables).map(([name, rows]) => html`<tr key=${name}><td class="mono">${name}</td><td class="number">${number(/** @type {number} */ (rows))}</td></tr>`)}</tbody></table></div>`}<//>
    <//>
  </div>`;
}

/** Credit for somebody, with a reason that their bill shows. */
function Credit() {
  const [who, setWho] = useState("");
  const [kind, setKind] = useState("grant");
  const [amount, setAmount] = useState("");
  const [reason, setReason] = useState("");
  const [error, setError] = useState(/** @type {ApiError | null} */ (null));
  const go = async (/** @type {Event} */ event) => {
    event.preventDefault();
    try {
      const done = await post(path`/admin/users/${who.trim()}/credits`, { kind, amount: Number(amount), reason });
      toast(`The balance is ${money(done.balance)} now`, "good");
      setAmount("");
      setReason("");
      setError(null);
    } catch (failure) {
      if (!(failure instanceof ApiError)) throw failure;
      setError(failure);
    }
  };
  return html`<${Card} title="Credit of an account">
    <form class="stack" onSubmit=${go}>
      ${error && html`<${Notice} kind="bad" icon="alert">${error.message}<//>`}
      <${TextField} label="Account id" autocomplete="off" value=${who} onInput=${setWho} />
      <div class="grid"><${Select} label="Kind" value=${kind} onChange=${setKind} options=${[["grant", "Grant: a gift"], ["adjustment", "Adjustment: what was missing"], ["deduction", "Deduction"]]} /><${TextField} label="Amount" inputmode="decimal" value=${amount} onInput=${setAmount} problem=${error?.of("amount")} /></div>
      <${TextField} label="Reason" hint="It is written on their bill." value=${reason} onInput=${setReason} problem=${error?.of("reason")} />
      <div><${Button} type="submit" kind="primary" disabled=${!who.trim() || !Number(amount) || !reason.trim()}>Write it<//></div>
    </form>
  <//>`;
}

function Simulator() {
  const found = useResource("/admin/simulator", { every: 5 });
  const [adding, setAdding] = useState(false);
  const again = () => invalidate("/admin/simulator");
  const change = async (/** @type {any} */ host, /** @type {string} */ condition) => {
    if (condition !== "up" && !(await confirm({ title: `Take ${host.name} ${condition}?`, text: `${host.machines} machines are on it.`, verb: `Take ${condition}` }))) return;
    await attempt(() => patch(path`/admin/simulator/hosts/${host.name}`, { condition }), `${host.name} is ${condition}`);
    await again();
  };
  const drop = async (/** @type {any} */ fault) => {
    await attempt(() => remove(path`/admin/simulator/faults/${fault.id}`));
    await again();
  };
  return html`<${Loaded} of=${found} lines=${8}>
      ${(/** @type {any} */ data) => html`<${Card} title="Faults by rule" pad=${false} actions=${html`<${Button} icon="plus" onClick=${() => setAdding(true)}>Add fault<//>`}>
          ${data.faults.length === 0
            ? html`<${Empty} icon="bolt" title="Nothing misbehaves">Add a rule to let orders fail, come late, or lose their answer, and watch the platform deal with it.<//>`
            : html`<ul class="lines">${data.faults.map((/** @type {any} */ fault) => html`<li key=${fault.id}><${Badge} kind="warn" icon="bolt">${fault.kind}<//><span class="grow">${fault.action ?? "every order"} <span class="small faint">${percent(fault.probability * 100)} of them${fault.count ? `, ${fault.count} at most` : ""}, hit ${number(fault.hits)} so far</span></span><${Button} kind="little" onClick=${() => drop(fault)}>Remove<//></li>`)}</ul>`}
        <//>
        <${Card} title=${`Hosts (${data.hosts.length})`} pad=${false}>
          <div class="table-wrap"><table class="table">
            <thead><tr><th scope="col">Host</th><th scope="col">Condition</th><th scope="col" class="number">Machines</th><th scope="col" class="number">vCPUs</th><th scope="col" class="number">Memory</th></tr></thead>
            <tbody>${data.hosts.slice(0, 100).map((/** @type {any} */ host) => html`<tr key=${host.name}><th scope="row" class="mono">${host.name}</th><td><${Select} bare label=${`Condition of ${host.name}`} value=${host.condition} onChange=${(/** @type {string} */ condition) => change(host, condition)} options=${[["up", "up"], ["down", "down"], ["unreachable", "unreachable"]]} /></td><td class="number">${number(host.machines)}</td><td class="number">${number(host.vcpus_used)} of ${number(host.vcpus)}</td><td class="number">${percent((host.memory_mib_used / host.memory_mib) * 100)}</td></tr>`)}</tbody>
          </table></div>
        <//>`}
    <//>
    ${adding && html`<${AddFault} onClose=${() => { setAdding(false); void again(); }} />`}`;
}

/** @param {{onClose: () => void}} properties */
function AddFault({ onClose }) {
  const [kind, setKind] = useState("unavailable");
  const [action, setAction] = useState("");
  const [share, setShare] = useState("100");
  const [count, setCount] = useState("1");
  const go = async () => {
    const rule = { kind, ...(action ? { action } : {}), probability: Number(share) / 100, ...(count ? { count: Number(count) } : {}), ...(kind === "slow" ? { delay_seconds: 5 } : {}) };
    if ((await attempt(() => post("/admin/simulator/faults", rule), "The rule holds from now on")) !== undefined) onClose();
  };
  return html`<${Dialog} title="Add a fault" onClose=${onClose} onSubmit=${go} foot=${html`<${Button} onClick=${onClose}>Cancel<//><${Button} type="submit" kind="primary">Add fault<//>`}>
    <${Select} label="What goes wrong" value=${kind} onChange=${setKind} options=${KINDS} />
    <${Select} label="With which order" value=${action} onChange=${setAction} options=${ACTIONS.map((one) => [one, one || "every order"])} />
    <div class="grid"><${TextField} label="How often, in percent" inputmode="decimal" value=${share} onInput=${setShare} /><${TextField} label="How many times" hint="empty: without end" inputmode="numeric" value=${count} onInput=${setCount} /></div>
  <//>`;
}
