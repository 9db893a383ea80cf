// Figures of several machines beside each other, and what the platform thinks of itself.
import { path } from "../core/api.js";
import { money, percent, plural } from "../core/format.js";
import { useResource } from "../core/resource.js";
import { link, place, setQuery } from "../core/router.js";
import { columnsOf, FIGURES, period, useSeries, zoom } from "../core/series.js";
import { html, useMemo } from "../core/view.js";
import { Button, Card, curl, Empty, Head, Loaded, Notice, Select, State, Stat, Tabs } from "../ui/basics.js";
import { Chart } from "../ui/chart.js";
import { lazy } from "../ui/form.js";
import { FORMATS } from "./figures.js";
import { Together } from "./together.js";

const MOST_COMPARED = 4;
const TABS = /** @type {[string, string][]} */ ([["/monitoring", "Load"], ["/monitoring/alerts", "Alerts"]]);
const Alerts = lazy(() => import("./alerts.js"), "Alerts");

/** @param {{tab?: string}} properties */
export default function Monitoring({ tab = "" }) {
  return html`<${Head} title="Monitoring"><p class="soft">Machines over time, together and beside each other, and what you want to be told of.</p><//>
    <${Tabs} label="About monitoring" tabs=${TABS} current=${tab ? `/monitoring/${tab}` : "/monitoring"} />
    ${tab === "alerts" ? html`<${Alerts} />` : html`<${Load} />`}`;
}

function Load() {
  const dashboard = useResource("/monitoring/dashboard", { every: 10 });
  const data = dashboard.data;
  const use = data?.resource_utilization;
  return html`<div class="grid stats">
      <${Stat} label="Average CPU" icon="chart" value=${percent(use?.avg_cpu)} note=${data ? plural(data.overview.running_vms, "running machine") : ""} />
      <${Stat} label="Average memory" icon="machine" value=${percent(use?.avg_memory)} />
      <${Stat} label="Average disk" icon="camera" value=${percent(use?.avg_disk)} />
      <${Stat} label="Burn rate" icon="bolt" value=${html`${money(data?.overview.hourly_cost)} <small>per hour</small>`} />
    </div>
    ${data?.vm_summary.length > 0 && html`<${Together} />`}
    <${Loaded} of=${dashboard} lines=${8}>${() => html`<${Compare} machines=${data.vm_summary} />`}<//>
    ${data?.alerts.length > 0 && html`<${Card} title="Alerts" pad=${false}><ul class="lines">${data.alerts.map((/** @type {any} */ alert, /** @type {number} */ index) => html`<li key=${index}><${State} state=${alert.severity} /><span class="grow wrap-any">${alert.vm_id ? html`<a href=${link(`/machines/${alert.vm_id}`)}>${alert.message}</a>` : alert.message}</span></li>`)}</ul><//>`}`;
}

/** @param {{machines: any[]}} properties */
function Compare({ machines }) {
  const query = place.value.query;
  const figure = FORMATS[query.get("figure") ?? ""] ? /** @type {string} */ (query.get("figure")) : "cpu_usage";
  const running = machines.filter((vm) => vm.status === "running");
  const named = (query.get("machines") ?? "").split(",").filter(Boolean);
  const chosen = (named.length > 0 ? named.map((id) => machines.find((vm) => vm.vm_id === id)).filter(Boolean) : [...running].sort((a, b) => b.cpu_usage - a.cpu_usage)).slice(0, MOST_COMPARED);
  if (machines.length === 0) {
    return html`<${Card}><${Empty} icon="chart" title="Nothing to measure yet" action=${html`<${Button} kind="primary" icon="plus" href="/machines?create=1">Create machine<//>`} command=${curl("GET", "/monitoring/dashboard")}>Figures come from running machines, every few seconds.<//><//>`;
  }
  const ids = chosen.map((vm) => vm.vm_id);
  const choose = (/** @type {string[]} */ next) => setQuery({ machines: next.join(",") });
  return html`<${Card} title="Beside each other">
    <div class="stack">
      <div class="row wrap">
        <${Select} bare label="Figure" value=${figure} onChange=${(/** @type {string} */ value) => setQuery({ figure: value })} options=${Object.entries(FIGURES)} />
        ${chosen.map((vm, index) => html`<span class="tag" key=${vm.vm_id}><span class=${`swatch s${index + 1}`}></span>${vm.name}<button type="button" aria-label=${`Leave out ${vm.name}`} disabled=${ids.length === 1} onClick=${() => choose(ids.filter((id) => id !== vm.vm_id))}>×</button></span>`)}
        ${ids.length < MOST_COMPARED && machines.some((vm) => !ids.includes(vm.vm_id)) && html`<${Select} bare label="Add a machine" value="" onChange=${(/** @type {string} */ id) => id && choose([...ids, id])} options=${[["", "Add a machine"], ...machines.filter((vm) => !ids.includes(vm.vm_id)).slice(0, 500).map((vm) => [vm.vm_id, vm.name])]} />`}
      </div>
      ${chosen.length === 0 ? html`<${Notice}>No machine runs. Choose one to see what it did before.<//>` : html`<${Lines} key=${ids.join()} chosen=${chosen} figure=${figure} />`}
    </div>
  <//>`;
}

/** @param {{chosen: any[], figure: string}} properties */
function Lines({ chosen, figure }) {
  const wanted = period();
  const found = [0, 1, 2, 3].map((index) => useSeries(chosen[index] ? path`/monitoring/vms/${chosen[index].vm_id}/series` : null, wanted));
  const [format, max] = FORMATS[figure];
  const all = found.map((one) => one.data);
  const { times, series, from, to } = useMemo(() => {
    const columns = all.slice(0, chosen.length).map(columnsOf);
    const longest = columns.reduce((most, one) => (one.times.length > most.times.length ? one : most), columns[0]);
    const lines = chosen.flatMap((vm, index) => {
      const before = columns[index].before(figure);
      return [{ name: vm.name, values: columns[index].now(figure) }, ...(before ? [{ name: `${vm.name} before`, values: before, dashed: true }] : [])];
    });
    return { ...longest, series: lines.map((line) => ({ ...line, values: longest.times.map((/** @type {number} */ _, /** @type {number} */ at) => line.values[at] ?? null) })) };
  }, [...all, figure]);
  return html`<${Chart} label=${FIGURES[figure]} times=${times} series=${series} format=${format} max=${max} height=${300} from=${from} to=${to} onZoom=${zoom} />`;
}
