// The simulated world: its hosts, and how it misbehaves.
import { path, patch, post, remove } from "../core/api.js";
import { number, percent } from "../core/format.js";
import { invalidate, useResource } from "../core/resource.js";
import { html, useState } from "../core/view.js";
import { Badge, Button, Card, curl, Empty, Loaded, Select, TextField } from "../ui/basics.js";
import { FormDialog } from "../ui/form.js";
import { attempt, confirm, toast } from "../ui/overlays.js";

const ACTIONS = ["", "ensure_created", "ensure_running", "ensure_stopped", "reboot", "ensure_absent", "resize", "rebuild", "snapshot", "restore", "observe", "inventory", "sample"];
const KINDS = /** @type {[string, string][]} */ ([["unavailable", "unavailable: a retry may help"], ["rejected", "rejected: it will not"], ["lost_reply", "lost reply"], ["slow", "slow"], ["duplicate", "duplicate reply"]]);

export function Simulator() {
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
  const dropAll = async () => {
    await attempt(() => remove("/admin/simulator/faults"), "Nothing misbehaves any more");
    await again();
  };
  if (found.error?.status === 404) return html`<${Card}><${Empty} icon="bolt" title="There is no simulator">Machines run on another driver here.<//><//>`;
  return html`<${Loaded} of=${found} lines=${8}>
      ${(/** @type {any} */ data) => html`<${Card} title="Faults by rule" pad=${false} actions=${html`${data.faults.length > 0 && html`<${Button} onClick=${dropAll}>Remove all<//>`}<${Button} icon="plus" onClick=${() => setAdding(true)}>Add fault<//>`}>
          ${data.faults.length === 0
            ? html`<${Empty} icon="bolt" title="Nothing misbehaves" command=${curl("POST", "/admin/simulator/faults", { kind: "rejected", action: "reboot", count: 1 })}>Add a rule to let orders fail, come late, or lose their answer, and watch the platform deal with it.<//>`
            : html`<ul class="lines">${data.faults.map((/** @type {any} */ fault) => html`<li key=${fault.id}><${Badge} kind="warn" icon="bolt">${fault.kind}<//><span class="grow">${fault.action ?? "every order"} <span class="small faint wrap-any">${[`${percent(fault.probability * 100)} of them`, fault.count && `${fault.count} at most`, fault.host && `on ${fault.host}`, fault.vm_id && `of ${fault.vm_id}`, `hit ${number(fault.hits)} so far`].filter(Boolean).join(", ")}</span></span><${Button} kind="little" onClick=${() => drop(fault)}>Remove<//></li>`)}</ul>`}
        <//>
        <${Card} title=${`Hosts (${data.hosts.length})`} pad=${false}>
          <div class="table-wrap"><table class="table">
            <thead><tr><th scope="col">Host</th><th scope="col">Condition</th><th scope="col" class="number">Machines</th><th scope="col" class="number">vCPUs</th><th scope="col" class="number">Memory</th></tr></thead>
            <tbody>${data.hosts.slice(0, 100).map((/** @type {any} */ host) => html`<tr key=${host.name}><th scope="row" class="mono">${host.name}</th><td><${Select} bare label=${`Condition of ${host.name}`} value=${host.condition} onChange=${(/** @type {string} */ condition) => change(host, condition)} options=${[["up", "up"], ["down", "down"], ["unreachable", "unreachable"]]} /></td><td class="number">${number(host.machines)}</td><td class="number">${number(host.vcpus_used)} of ${number(host.vcpus)}</td><td class="number">${percent((host.memory_mib_used / host.memory_mib) * 100)}</td></tr>`)}</tbody>
          </table></div>
        <//>`}
    <//>
    ${adding && html`<${AddFault} hosts=${found.data?.hosts ?? []} onClose=${() => setAdding(false)} />`}`;
}

/** @param {{hosts: any[], onClose: () => void}} properties */
function AddFault({ hosts, onClose }) {
  const [kind, setKind] = useState("unavailable");
  const [action, setAction] = useState("");
  const [host, setHost] = useState("");
  const [vm, setVm] = useState("");
  const [share, setShare] = useState("100");
  const [count, setCount] = useState("1");
  const [skip, setSkip] = useState("0");
  const [delay, setDelay] = useState("5");
  const does = async () => {
    await post("/admin/simulator/faults", { kind, ...(action ? { action } : {}), ...(host ? { host } : {}), ...(vm.trim() ? { vm_id: vm.trim() } : {}), probability: Number(share) / 100, skip: Number(skip), ...(count ? { count: Number(count) } : {}), ...(kind === "slow" ? { delay_seconds: Number(delay) } : {}) });
    toast("The rule holds from now on", "good");
    void invalidate("/admin/simulator");
  };
  return html`<${FormDialog} title="Add a fault" verb="Add fault" onClose=${onClose} does=${does} fields=${["probability", "count", "skip", "delay_seconds", "vm_id"]}>
    ${(/** @type {any} */ error) => html`<div class="grid"><${Select} label="What goes wrong" value=${kind} onChange=${setKind} options=${KINDS} /><${Select} label="With which order" value=${action} onChange=${setAction} options=${ACTIONS.map((one) => [one, one || "every order"])} /></div>
      <div class="grid"><${TextField} label="How often, in percent" inputmode="decimal" value=${share} onInput=${setShare} problem=${error?.of("probability")} /><${TextField} label="How many times" hint="empty: without end" inputmode="numeric" value=${count} onInput=${setCount} problem=${error?.of("count")} /></div>
      <div class="grid"><${TextField} label="Not the first" hint="so many orders pass" inputmode="numeric" value=${skip} onInput=${setSkip} problem=${error?.of("skip")} />${kind === "slow" && html`<${TextField} label="Seconds late" inputmode="decimal" value=${delay} onInput=${setDelay} problem=${error?.of("delay_seconds")} />`}</div>
      <div class="grid"><${Select} label="On which host" value=${host} onChange=${setHost} options=${[["", "every host"], ...hosts.slice(0, 500).map((one) => [one.name, one.name])]} /><${TextField} label="Of which machine, by its id" autocomplete="off" hint="empty: of every one" value=${vm} onInput=${setVm} problem=${error?.of("vm_id")} /></div>`}
  <//>`;
}
