// What a machine shows beyond its first page: charts, operations, console, snapshots, costs.
import { path, post, remove } from "../core/api.js";
import { settle } from "../core/fleet.js";
import { money, percent, rate, words } from "../core/format.js";
import { invalidate, useResource } from "../core/resource.js";
import { html, useMemo, useState } from "../core/view.js";
import { Button, Card, curl, Empty, Loaded, Meter, Money, Segments, State, TextField, Time } from "../ui/basics.js";
import { Chart } from "../ui/chart.js";
import { attempt, confirm, Menu } from "../ui/overlays.js";
import { Explain } from "./explain.js";

const RANGES = /** @type {[string, string][]} */ ([["1", "1 hour"], ["6", "6 hours"], ["24", "1 day"], ["168", "1 week"]]);
/** @type {Record<string, number>} */
const INTERVALS = { 1: 5, 6: 5, 24: 10, 168: 60 };

/** @param {{vm: any, brief?: boolean}} properties */
export function Metrics({ vm, brief = false }) {
  const [hours, setHours] = useState("1");
  const found = useResource(path`/monitoring/vms/${vm.id}/metrics/history` + `?hours=${hours}&interval=${INTERVALS[hours]}`, { every: 15 });
  const points = found.data?.metrics;
  const columns = useMemo(() => columnsOf(points ?? []), [points]);
  const [from, to] = found.data ? [Date.parse(found.data.period_start) / 1000, Date.parse(found.data.period_end) / 1000] : [0, 0];
  const range = html`<${Segments} label="Range" options=${RANGES} value=${hours} onChange=${setHours} />`;
  if (found.data !== undefined && points.length === 0) {
    return html`<${Card} title="Metrics" actions=${range}><${Empty} icon="chart" title="No figures in this range" command=${curl("GET", `/monitoring/vms/${vm.id}/metrics`)}>A running machine is measured every few seconds.<//><//>`;
  }
  return html`<${Card} title="CPU" actions=${range}><${Loaded} of=${found} lines=${5}>${() => html`<${Chart} label="CPU" times=${columns.times} from=${from} to=${to} series=${[{ name: "CPU", values: columns.cpu_usage }]} format=${percent} max=${100} />`}<//><//>
    <div class="grid two">
      <${Card} title="Memory and disk"><${Loaded} of=${found} lines=${5}>${() => html`<${Chart} label="Memory and disk" times=${columns.times} from=${from} to=${to} series=${[{ name: "Memory", values: columns.memory_usage }, { name: "Disk", values: columns.disk_usage }]} format=${percent} max=${100} height=${160} />`}<//><//>
      <${Card} title="Network"><${Loaded} of=${found} lines=${5}>${() => html`<${Chart} label="Network" times=${columns.times} from=${from} to=${to} series=${[{ name: "In", values: columns.network_in }, { name: "Out", values: columns.network_out }]} format=${rate} height=${160} />`}<//><//>
    </div>
    ${!brief && found.data && html`<${Peaks} data=${found.data} />`}`;
}

/** Rows of points as columns of figures. @param {any[]} points */
export function columnsOf(points) {
  /** @type {Record<string, number[]>} */
  const columns = { times: points.map((point) => Date.parse(point.timestamp) / 1000) };
  for (const name of ["cpu_usage", "memory_usage", "disk_usage", "network_in", "network_out"]) columns[name] = points.map((point) => point[name]);
  return columns;
}

/** @param {{data: any}} properties */
const Peaks = ({ data }) => html`<${Card} title="Averages and peaks" pad=${false}>
  <div class="table-wrap"><table class="table">
    <thead><tr><th scope="col">Figure</th><th scope="col" class="number">Average</th><th scope="col" class="number">Peak</th></tr></thead>
    <tbody>
      ${[["CPU", "cpu_usage", percent], ["Memory", "memory_usage", percent], ["Disk", "disk_usage", percent], ["Network in", "network_in", rate], ["Network out", "network_out", rate]].map(
        ([name, key, format]) => html`<tr><th scope="row">${name}</th><td class="number">${/** @type {any} */ (format)(data.averages[/** @type {string} */ (key)])}</td><td class="number">${/** @type {any} */ (format)(data.peaks[/** @type {string} */ (key)])}</td></tr>`,
      )}
    </tbody>
  </table></div>
<//>`;

/** @param {{vm: any}} properties */
export function Operations({ vm }) {
  const found = useResource(path`/vms/${vm.id}/operations` + "?limit=50", { every: 4 });
  const cancel = async (/** @type {any} */ operation) => {
    await attempt(() => post(path`/operations/${operation.id}/cancel`), "It is being taken back");
    await settle(vm.id);
  };
  return html`<${Loaded} of=${found}>
    ${(/** @type {any} */ data) =>
      data.operations.length === 0
        ? html`<${Empty} icon="clock" title="No operations are remembered" />`
        : html`<div class="table-wrap"><table class="table">
            <thead><tr><th scope="col">What</th><th scope="col">How it went</th><th scope="col" class="hide-phone">Asked</th><th scope="col" class="number hide-phone">Took</th><th scope="col"><span class="visually-hidden">Actions</span></th></tr></thead>
            <tbody>
              ${data.operations.map(
                (/** @type {any} */ operation) => html`<tr key=${operation.id}>
                  <td>${words(operation.kind.replace("vms.", ""))}${operation.attempt > 1 && html` <span class="small faint">try ${operation.attempt}</span>`}</td>
                  <td class="stack tight"><span><${State} state=${operation.status} label=${operation.undoing ? "taking back" : undefined} /></span>
                    ${operation.error && html`<span class="small bad wrap-any">${operation.error.message}</span>`}
                    ${operation.status === "running" && html`<${Meter} value=${operation.progress} max=${100} label="Progress in percent" warnAt=${2} />`}</td>
                  <td class="hide-phone"><${Time} at=${operation.created_at} /></td>
                  <td class="number hide-phone">${took(operation)}</td>
                  <td class="right">${["pending", "running"].includes(operation.status) && html`<${Button} kind="little" onClick=${() => cancel(operation)}>Cancel<//>`}</td>
                </tr>`,
              )}
            </tbody>
          </table></div>`}
  <//>`;
}

/** @param {any} operation */
function took(operation) {
  if (!operation.finished_at || !operation.started_at) return "–";
  return `${((Date.parse(operation.finished_at) - Date.parse(operation.started_at)) / 1000).toFixed(2)} s`;
}

/** @param {{vm: any}} properties */
export function Console({ vm }) {
  const found = useResource(path`/vms/${vm.id}/console` + "?lines=500", { every: 5 });
  return html`<${Card} title="Serial console" pad=${false} actions=${html`<${Button} kind="little" icon="refresh" onClick=${found.reload}>Read again<//>`}>
    <${Loaded} of=${found}>
      ${(/** @type {any} */ data) =>
        data.output
          ? html`<pre class="terminal" tabindex="0" aria-label="Output of the serial console">${data.output}</pre>`
          : html`<${Empty} icon="terminal" title="The machine has written nothing yet" command=${curl("GET", `/vms/${vm.id}/console`)} />`}
    <//>
  <//>`;
}

/** @param {{vm: any}} properties */
export function Snapshots({ vm }) {
  const where = path`/vms/${vm.id}/snapshots`;
  const found = useResource(where, { every: 6 });
  const [name, setName] = useState("");
  const again = () => invalidate(where, "/snapshots", "/quotas");
  const take = async (/** @type {Event} */ event) => {
    event.preventDefault();
    const made = await attempt(() => post(where, { name }), "The snapshot is taken");
    if (made === undefined) return;
    setName("");
    await settle(vm.id);
    await again();
  };
  const restore = async (/** @type {any} */ snapshot) => {
    if (!(await confirm({ title: `Restore ${snapshot.name}?`, text: "The disk becomes what it was then. What was written since is lost.", verb: "Restore", typed: snapshot.name }))) return;
    await attempt(() => post(path`/vms/${vm.id}/snapshots/${snapshot.id}/restore`), "It is being restored");
    await settle(vm.id);
  };
  const drop = async (/** @type {any} */ snapshot) => {
    if (!(await confirm({ title: `Delete ${snapshot.name}?`, text: "The snapshot is gone for good.", verb: "Delete snapshot", typed: snapshot.name }))) return;
    await attempt(() => remove(path`/snapshots/${snapshot.id}`), "The snapshot is deleted");
    await again();
  };
  return html`<${Card} title="Snapshots" pad=${false}>
    <form class="toolbar" onSubmit=${take}>
      <div class="grow"><${TextField} label="Name of a new snapshot" autocomplete="off" placeholder="before-upgrade" value=${name} onInput=${setName} /></div>
      <${Button} type="submit" kind="primary" icon="camera" disabled=${!name.trim()}>Take snapshot<//>
    </form>
    <${Loaded} of=${found}>
      ${(/** @type {any} */ data) =>
        data.snapshots.length === 0
          ? html`<${Empty} icon="camera" title="No snapshots of this machine" command=${curl("POST", where, { name: "before-upgrade" })}>A snapshot keeps the disk as it is now. Restore it here, or create machines from it.<//>`
          : html`<ul class="lines">${data.snapshots.map(
              (/** @type {any} */ snapshot) => html`<li key=${snapshot.id}>
                <span class="grow"><span class="strong wrap-any">${snapshot.name}</span><br /><span class="small faint">${snapshot.image} · ${snapshot.disk_gib} GB · <${Time} at=${snapshot.created_at} /></span></span>
                <${State} state=${snapshot.status} />
                <${Menu} label=${`Actions for ${snapshot.name}`} items=${[{ icon: "restart", label: "Restore", does: () => void restore(snapshot) }, null, { icon: "trash", label: "Delete", danger: true, does: () => void drop(snapshot) }]} />
              </li>`,
            )}</ul>`}
    <//>
  <//>`;
}

/** @param {{vm: any}} properties */
export function Costs({ vm }) {
  const found = useResource("/billing/history" + `?limit=50&vm_id=${encodeURIComponent(vm.id)}`, { every: 10 });
  return html`<${Card} title="What it has cost" pad=${false} actions=${html`<span class="soft small number">${money(vm.total_cost)} so far</span>`}>
    <${Loaded} of=${found}>
      ${(/** @type {any} */ data) =>
        data.items.length === 0
          ? html`<${Empty} icon="billing" title="Nothing was charged yet">Use is charged when its hour ends, when the machine stops, or when it is deleted.<//>`
          : html`<div class="table-wrap"><table class="table">
              <thead><tr><th scope="col">When</th><th scope="col">For</th><th scope="col" class="number">Amount</th></tr></thead>
              <tbody>${data.items.map((/** @type {any} */ item) => html`<tr key=${item.id}><td><${Time} at=${item.created_at} plain /></td><td class="wrap-any">${item.description}</td><td class="number"><${Money} amount=${item.amount} sign /> <${Explain} id=${item.id} about=${item.description} /></td></tr>`)}</tbody>
            </table></div>`}
    <//>
  <//>`;
}
