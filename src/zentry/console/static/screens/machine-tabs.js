// What a machine shows beyond its first page: charts, operations, console, snapshots, costs.
import { path, post, remove } from "../core/api.js";
import { settle } from "../core/fleet.js";
import { duration, money, number, words } from "../core/format.js";
import { invalidate, useResource } from "../core/resource.js";
import { columnsOf, period, useSeries, zoom } from "../core/series.js";
import { html, useMemo, useState } from "../core/view.js";
import { Button, Card, curl, Empty, Loaded, Meter, Money, State, TextField, Time } from "../ui/basics.js";
import { Chart } from "../ui/chart.js";
import { attempt, confirm, Menu } from "../ui/overlays.js";
import { PeriodChoice } from "../ui/period.js";
import { Explain } from "./explain.js";
import { CHARTS, linesOf, Peaks } from "./figures.js";

const BRIEF = 3;
const MOST_STATES = 200;

/** @param {{vm: any, brief?: boolean}} properties */
export function Metrics({ vm, brief = false }) {
  const chosen = period();
  const where = path`/monitoring/vms/${vm.id}/series`;
  const found = useSeries(where, chosen);
  const columns = useMemo(() => columnsOf(found.data), [found.data]);
  const choice = html`<${PeriodChoice} more=${!brief} />`;
  if (found.data !== undefined && columns.isEmpty) {
    return html`<${Card} title="Metrics" actions=${choice}><${Empty} icon="chart" title="No figures in this period" command=${curl("GET", where)}>A running machine is measured every few seconds.<//><//>`;
  }
  const [first, ...others] = CHARTS.slice(0, brief ? BRIEF : CHARTS.length);
  const draw = (/** @type {typeof first} */ [title, names, format, max], /** @type {number} */ height) => html`<${Loaded} of=${found} lines=${5}>${() => html`<${Chart} label=${title} times=${columns.times} from=${columns.from} to=${columns.to} series=${linesOf(columns, names)} format=${format} max=${max} height=${height} onZoom=${zoom} />`}<//>`;
  return html`<${Card} title=${first[0]} actions=${choice}>${draw(first, 190)}<//>
    <div class="grid two">${others.map((one) => html`<${Card} key=${one[0]} title=${one[0]}>${draw(one, 160)}<//>`)}</div>
    ${!brief && found.data && html`<${Peaks} data=${found.data} where=${where} chosen=${chosen} name=${vm.name} />`}`;
}

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
                  <td><div class="stack tight"><span><${State} state=${operation.status} label=${operation.undoing ? "taking back" : undefined} /></span>
                    ${operation.error && html`<span class="small bad wrap-any">${operation.error.message}</span>`}
                    ${operation.status === "running" && html`<${Meter} value=${operation.progress} max=${100} label="Progress in percent" warnAt=${2} />`}</div></td>
                  <td class="hide-phone"><${Time} at=${operation.created_at} /></td>
                  <td class="number hide-phone">${took(operation)}</td>
                  <td class="right">${["pending", "running"].includes(operation.status) && html`<${Button} kind="little" onClick=${() => cancel(operation)}>Cancel<//>`}</td>
                </tr>`,
              )}
            </tbody>
          </table></div>`}
  <//>`;
}

/** From which state to which, when, and why: the newest first. @param {{vm: any}} properties */
export function States({ vm }) {
  const [limit, setLimit] = useState(50);
  const where = path`/vms/${vm.id}/transitions`;
  const found = useResource(`${where}?limit=${limit}`, { every: 8 });
  return html`<${Loaded} of=${found}>
    ${(/** @type {any} */ data) =>
      data.transitions.length === 0
        ? html`<${Empty} icon="clock" title="Nothing has changed yet" command=${curl("GET", where)}>Each change of state is kept with its cause: who asked, which operation, or what the platform found.<//>`
        : html`<ol class="lines">${data.transitions.map(
            (/** @type {any} */ one) => html`<li key=${one.position}>
              <span class="grow"><span class="row wrap">${one.from ? html`<${State} state=${one.from} />` : html`<span class="faint small">new</span>`}<span aria-label="to">→</span><${State} state=${one.to} /><span class="small soft">${words(one.kind)}</span></span>
                <span class="small faint wrap-any">${[one.operation_kind && words(one.operation_kind.replace("vms.", "")), one.cause !== "user" && words(one.cause), one.reason, one.error_message].filter(Boolean).join(" · ")}</span></span>
              <span class="faint small number right"><${Time} at=${one.at} plain /></span>
            </li>`,
          )}</ol>
          ${data.next_cursor !== null && limit < MOST_STATES && html`<footer class="row end body"><${Button} kind="little" onClick=${() => setLimit(MOST_STATES)}>Older<//></footer>`}`}
  <//>`;
}

/** @param {any} operation */
function took(operation) {
  if (!operation.finished_at || !operation.started_at) return "–";
  const seconds = (Date.parse(operation.finished_at) - Date.parse(operation.started_at)) / 1000;
  return seconds < 100 ? `${number(seconds, 2)} s` : duration(seconds / 3600);
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
                <span class="grow"><span class="strong wrap-any">${snapshot.name}</span><br /><span class="small faint">${snapshot.image} · ${snapshot.disk_gib} GiB · <${Time} at=${snapshot.created_at} /></span></span>
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
          : html`<div class="table-wrap"><table class="table folds">
              <thead><tr><th scope="col">For</th><th scope="col">When</th><th scope="col" class="number">Amount</th></tr></thead>
              <tbody>${data.items.map((/** @type {any} */ item) => html`<tr key=${item.id}><td class="wrap-any">${item.description}<span class="small faint phone-only"><br /><${Time} at=${item.created_at} plain /></span></td><td class="hide-phone"><${Time} at=${item.created_at} plain /></td><td class="number"><${Money} amount=${item.amount} sign /> <${Explain} id=${item.id} about=${item.description} /></td></tr>`)}</tbody>
            </table></div>`}
    <//>
  <//>`;
}
