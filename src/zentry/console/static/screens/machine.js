// One machine: what it does, what it costs, and everything that can be done with it.
import { patch, path, post } from "../core/api.js";
import { readMachine, settle, verbs } from "../core/fleet.js";
import { dateTime, duration, memory, money } from "../core/format.js";
import { Icon } from "../core/icons.js";
import { useResource } from "../core/resource.js";
import { navigate } from "../core/router.js";
import { html, useEffect, useState } from "../core/view.js";
import { Bones, Button, Card, Check, Copy, Empty, Head, MachineState, Meter, Notice, Select, Tabs, TextField, Time, Trouble } from "../ui/basics.js";
import { attempt, confirm, Dialog, Menu, toast } from "../ui/overlays.js";
import { actOne, labelText, parseLabels, VERBS } from "./machine-actions.js";
import { Console, Costs, Metrics, Operations, Snapshots, States } from "./machine-tabs.js";
import { Happenings } from "./happenings.js";

/** @param {{id: string, tab?: string}} properties */
export default function Machine({ id, tab = "" }) {
  const where = path`/vms/${id}`;
  const found = useResource(where, { every: 4 });
  const [asking, setAsking] = useState("");
  const vm = found.data;
  useEffect(() => {
    if (vm?.active_operation?.id) void settle(id);
  }, [vm?.active_operation?.id]);
  if (vm === undefined) {
    if (found.error?.status === 404) {
      return html`<${Head} title="Machine not found" crumbs=${[["/machines", "Machines"]]} /><${Card}><${Empty} icon="machine" title="There is no such machine" action=${html`<${Button} href="/machines">To your machines<//>`}>It does not exist, or it belongs to somebody else.<//><//>`;
    }
    return html`<${Head} title="Machine" crumbs=${[["/machines", "Machines"]]} />${found.error ? html`<${Trouble} error=${found.error} again=${found.reload} />` : html`<${Card}><${Bones} lines=${8} /><//>`}`;
  }
  const able = verbs(vm);
  const base = `/machines/${id}`;
  const gone = vm.status === "terminated";
  const more = [
    { icon: "resize", label: "Resize", does: () => setAsking("resize") },
    { icon: "machine", label: "Rename and label", does: () => setAsking("edit") },
    { icon: "refresh", label: "Rebuild from an image", does: () => setAsking("rebuild") },
    { icon: "camera", label: "Take a snapshot", does: () => navigate(`${base}/snapshots`) },
    null,
    { icon: "trash", label: "Delete", danger: true, does: async () => (await actOne(vm, "delete")) && navigate("/machines") },
  ];
  return html`<${Head} name=${vm.name} title=${html`<span class="row wrap"><span class="wrap-any">${vm.name}</span><${MachineState} vm=${vm} /></span>`} crumbs=${[["/machines", "Machines"], [`/projects/${vm.project_id}`, vm.project_name]]}
      actions=${!gone &&
      html`${able.filter((verb) => verb !== "delete").map((verb) => html`<${Button} key=${verb} icon=${VERBS[verb].icon} onClick=${() => actOne(vm, verb)}>${VERBS[verb].label}<//>`)}
        <${Menu} label="More actions" kind="" icon="more" items=${more} />`}>
      <p class="soft number">${vm.ip_address ? html`<span class="mono">${vm.ip_address}</span> <${Copy} text=${vm.ip_address} label="Copy the address" /> · ` : ""}${vm.instance_type} · ${vm.image}</p>
    <//>
    ${vm.active_operation && html`<${Underway} operation=${vm.active_operation} />`}
    ${vm.stop_reason === "credit" && vm.status === "stopped" && html`<${Notice} kind="warn" icon="alert">It was stopped because the credit ended, and starts again by itself when there is some. <a href="billing" onClick=${toBilling}>Add credit</a><//>`}
    ${vm.status === "error" && html`<${Notice} kind="bad" icon="alert">The machine has failed. The operations say why; you can start it again, or delete it.<//>`}
    <${Tabs} label="About this machine" current=${tab ? `${base}/${tab}` : base} tabs=${[[base, "Overview"], [`${base}/metrics`, "Metrics"], [`${base}/operations`, "Operations"], [`${base}/states`, "States"], [`${base}/events`, "Events"], [`${base}/console`, "Console"], [`${base}/snapshots`, "Snapshots"], [`${base}/costs`, "Costs"]]} />
    <${Tab} vm=${vm} tab=${tab} />
    ${asking === "resize" && html`<${Resize} vm=${vm} onClose=${() => setAsking("")} />`}
    ${asking === "rebuild" && html`<${Rebuild} vm=${vm} onClose=${() => setAsking("")} />`}
    ${asking === "edit" && html`<${Edit} vm=${vm} onClose=${() => setAsking("")} />`}`;
}

/** @param {MouseEvent} event */
function toBilling(event) {
  event.preventDefault();
  navigate("/billing");
}

/** @param {{operation: any}} properties */
const Underway = ({ operation }) => html`<div class="notice" role="status">
  <${Icon} name="busy" />
  <div class="grow stack tight"><span>${operation.kind.replace("vms.", "")} is under way</span><${Meter} value=${operation.progress} max=${100} label="Progress in percent" warnAt=${2} /></div>
  <span class="number">${operation.progress} %</span>
</div>`;

/** @param {{vm: any, tab: string}} properties */
function Tab({ vm, tab }) {
  if (tab === "metrics") return html`<${Metrics} vm=${vm} />`;
  if (tab === "operations") return html`<${Card} title="Operations" pad=${false}><${Operations} vm=${vm} /><//>`;
  if (tab === "states") return html`<${Card} title="Every change of its state" pad=${false}><${States} vm=${vm} /><//>`;
  if (tab === "events") return html`<${Card} title="Events" pad=${false}><${Happenings} limit=${100} of=${vm.id} /><//>`;
  if (tab === "console") return html`<${Console} vm=${vm} />`;
  if (tab === "snapshots") return html`<${Snapshots} vm=${vm} />`;
  if (tab === "costs") return html`<${Costs} vm=${vm} />`;
  return html`<div class="grid lead"><div class="stack"><${Metrics} vm=${vm} brief /></div><div class="stack"><${Facts} vm=${vm} /></div></div>`;
}

/** @param {{vm: any}} properties */
const Facts = ({ vm }) => html`<${Card} title="Details">
    <dl class="facts">
      <dt>Size</dt><dd>${vm.instance_type}: ${vm.vcpus} vCPU, ${memory(vm.memory_mib)}, ${vm.disk_gib} GiB</dd>
      <dt>Image</dt><dd>${vm.image}</dd>
      <dt>Project</dt><dd>${vm.project_name}</dd>
      <dt>Labels</dt><dd>${Object.keys(vm.labels).length > 0 ? html`<span class="row wrap">${Object.entries(vm.labels).map(([name, value]) => html`<span class="tag wrap-any">${value ? `${name}=${value}` : name}</span>`)}</span>` : html`<span class="faint">none</span>`}</dd>
      <dt>SSH keys</dt><dd>${vm.ssh_keys.length > 0 ? vm.ssh_keys.map((/** @type {any} */ key) => key.name).join(", ") : html`<span class="faint">none</span>`}</dd>
      <dt>Protected</dt><dd>${vm.delete_protection ? "yes, it cannot be deleted" : "no"}</dd>
      <dt>Created</dt><dd>${dateTime(vm.created_at)}</dd>
      <dt>Last start</dt><dd><${Time} at=${vm.last_started} /></dd>
      <dt>ID</dt><dd class="mono small">${vm.id} <${Copy} text=${vm.id} label="Copy the id" /></dd>
    </dl>
  <//>
  <${Card} title="Cost">
    <dl class="facts">
      <dt>Per hour</dt><dd class="number">${money(vm.cost_per_hour)}</dd>
      <dt>A month</dt><dd class="number">${money(vm.cost_per_hour * 720)}</dd>
      <dt>So far</dt><dd class="number">${money(vm.total_cost)}</dd>
      <dt>Up for</dt><dd class="number">${duration(vm.current_session_hours)} <span class="faint">(${duration(vm.uptime_hours)} in all)</span></dd>
    </dl>
  <//>`;

/** @param {{vm: any, onClose: () => void}} properties */
function Resize({ vm, onClose }) {
  const types = useResource("/instance-types").data;
  const [type, setType] = useState(vm.instance_type);
  const chosen = types?.find((/** @type {any} */ one) => one.name === type);
  const go = async () => {
    const done = await attempt(() => post(path`/vms/${vm.id}/resize`, { instance_type: type }));
    if (done === undefined) return;
    onClose();
    await settle(vm.id);
  };
  return html`<${Dialog} title=${`Resize ${vm.name}`} onClose=${onClose} onSubmit=${go} foot=${html`<${Button} onClick=${onClose}>Cancel<//><${Button} type="submit" kind="primary" disabled=${!chosen || type === vm.instance_type}>Resize<//>`}>
    ${types
      ? html`<${Select} label="New size" value=${type} onChange=${setType} options=${types.map((/** @type {any} */ one) => [one.name, `${one.name}: ${one.vcpus} vCPU, ${memory(one.memory_mib)}, ${one.disk_gib} GiB, ${money(one.price_per_hour)} per hour`])} />
          ${chosen && html`<p class="soft">From ${money(vm.cost_per_hour)} to <strong>${money(chosen.price_per_hour)}</strong> per hour, ${money(chosen.price_per_hour * 720)} a month. A running machine restarts for it.</p>`}`
      : html`<${Bones} />`}
  <//>`;
}

/** @param {{vm: any, onClose: () => void}} properties */
function Rebuild({ vm, onClose }) {
  const images = useResource("/images").data;
  const [image, setImage] = useState(vm.image);
  const go = async () => {
    if (!(await confirm({ title: `Rebuild ${vm.name}?`, text: "Everything on its disk is lost and replaced by the image. Name, address and price stay.", verb: "Rebuild", typed: vm.name }))) return;
    const done = await attempt(() => post(path`/vms/${vm.id}/rebuild`, { image }));
    if (done === undefined) return;
    onClose();
    await settle(vm.id);
  };
  return html`<${Dialog} title=${`Rebuild ${vm.name}`} onClose=${onClose} onSubmit=${go} foot=${html`<${Button} onClick=${onClose}>Cancel<//><${Button} type="submit" kind="danger">Rebuild<//>`}>
    ${images ? html`<${Select} label="Image" value=${image} onChange=${setImage} options=${images.map((/** @type {any} */ one) => [one.name, one.description || one.name])} />` : html`<${Bones} />`}
  <//>`;
}

/** @param {{vm: any, onClose: () => void}} properties */
function Edit({ vm, onClose }) {
  const [name, setName] = useState(vm.name);
  const [labels, setLabels] = useState(labelText(vm.labels));
  const [guarded, setGuarded] = useState(vm.delete_protection);
  const parsed = parseLabels(labels);
  const go = async () => {
    if (parsed === null) return;
    const done = await attempt(() => patch(path`/vms/${vm.id}`, { ...(name === vm.name ? {} : { name }), labels: parsed, delete_protection: guarded }));
    if (done === undefined) return;
    await readMachine(vm.id);
    toast("Saved", "good");
    onClose();
  };
  return html`<${Dialog} title=${`Rename and label ${vm.name}`} onClose=${onClose} onSubmit=${go} foot=${html`<${Button} onClick=${onClose}>Cancel<//><${Button} type="submit" kind="primary">Save<//>`}>
    <${TextField} label="Name" autofocus autocomplete="off" spellcheck="false" value=${name} onInput=${setName} />
    <${TextField} label="Labels" hint="name=value, several with commas between them" value=${labels} onInput=${setLabels} problem=${parsed === null ? "Write each label as name=value." : ""} />
    <${Check} label="Protect against deletion" checked=${guarded} onChange=${setGuarded} />
  <//>`;
}
