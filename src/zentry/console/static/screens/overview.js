// How things stand: machines, money, what needs a look, what has happened.
import { duration, money, percent, plural } from "../core/format.js";
import { Icon } from "../core/icons.js";
import { useResource } from "../core/resource.js";
import { link, navigate } from "../core/router.js";
import { user } from "../core/session.js";
import { html } from "../core/view.js";
import { Bones, Button, Card, curl, Empty, Head, Loaded, Meter, State, Stat } from "../ui/basics.js";
import { Happenings } from "./happenings.js";

const BUSIEST = 6;

export default function Overview() {
  const dashboard = useResource("/monitoring/dashboard", { every: 10 });
  const credits = useResource("/billing/credits", { every: 15 });
  const summary = useResource("/vms/status/summary", { every: 10 });
  const first = user.value?.name.split(" ")[0] ?? "";
  const isNew = dashboard.data?.overview.total_vms === 0;
  return html`<${Head} title="Overview" actions=${html`<${Button} kind="primary" icon="plus" onClick=${() => navigate("/machines?create=1")}>Create machine<//>`}>
      <p class="soft">${isNew ? `Welcome, ${first}.` : "Your machines, your credit, and what needs a look."}</p>
    <//>
    ${isNew && html`<${Card} pad=${false}><${Start} /><//>`}
    <div class="grid stats">
      <${Machines} summary=${summary} />
      <${Burn} credits=${credits} />
      <${Credit} credits=${credits} />
      <${Load} dashboard=${dashboard} />
    </div>
    <div class="grid lead">
      <${Busiest} dashboard=${dashboard} />
      <${Alerts} dashboard=${dashboard} />
    </div>
    <${Card} title="Latest events" pad=${false} actions=${html`<${Button} kind="bare little" href="/events">All events<//>`}><${Happenings} limit=${8} /><//>`;
}

const Start = () => html`<${Empty}
  icon="machine"
  title="Start your first machine"
  action=${html`<${Button} kind="primary" icon="plus" onClick=${() => navigate("/machines?create=1")}>Create machine<//>`}
  command=${curl("POST", "/vms", { name: "web-1", instance_type: "small", image: "debian-12", project_id: "$PROJECT" })}
>
  A machine belongs to a project. Make it here, or send the request yourself.
<//>`;

/** @param {{summary: any}} properties */
function Machines({ summary }) {
  const by = summary.data?.status_breakdown ?? {};
  const states = ["running", "creating", "stopped", "error"].filter((state) => by[state]);
  const live = states.reduce((sum, state) => sum + by[state], 0);
  return html`<${Stat} label="Machines" icon="machine" value=${summary.data ? live : html`<span class="bone"></span>`} note=${states.map((state) => `${by[state]} ${state}`).join(" · ") || "none yet"}>
    <span class="bars" role="img" aria-label=${states.map((state) => `${by[state]} ${state}`).join(", ") || "no machines"}>${states.map((state) => html`<span class=${state} style=${{ flexGrow: by[state] }}></span>`)}</span>
  <//>`;
}

/** @param {{credits: any}} properties */
function Burn({ credits }) {
  const data = credits.data;
  return html`<${Stat} label="Burn rate" icon="bolt" value=${data ? html`${money(data.burn_rate_per_hour)} <small>per hour</small>` : html`<span class="bone"></span>`} note=${data ? `${money(data.burn_rate_per_hour * 24 * 30)} a month at this rate` : ""} />`;
}

/** @param {{credits: any}} properties */
function Credit({ credits }) {
  const data = credits.data;
  if (!data) return html`<${Stat} label="Credit" icon="billing" value=${html`<span class="bone"></span>`} />`;
  const left = data.current_credits - data.accrued_cost;
  const hours = data.burn_rate_per_hour > 0 ? left / data.burn_rate_per_hour : null;
  return html`<${Stat} label="Credit lasts" icon="clock" value=${hours === null ? "No end" : duration(hours)} note=${`${money(left)} left${data.held_credits ? `, ${money(data.held_credits)} of it held` : ""}`} />`;
}

/** @param {{dashboard: any}} properties */
function Load({ dashboard }) {
  const use = dashboard.data?.resource_utilization;
  const running = dashboard.data?.overview.running_vms ?? 0;
  return html`<${Stat} label="Average CPU" icon="chart" value=${use ? percent(use.avg_cpu) : html`<span class="bone"></span>`} note=${use ? `Memory ${percent(use.avg_memory)} · ${plural(running, "running machine")}` : ""}>
    ${use && html`<${Meter} value=${use.avg_cpu} max=${100} label="Average CPU in percent" />`}
  <//>`;
}

/** @param {{dashboard: any}} properties */
function Busiest({ dashboard }) {
  const rows = (dashboard.data?.vm_summary ?? [])
    .filter((/** @type {any} */ vm) => vm.status === "running")
    .sort((/** @type {any} */ a, /** @type {any} */ b) => b.cpu_usage - a.cpu_usage)
    .slice(0, BUSIEST);
  return html`<${Card} title="Busiest machines" pad=${false} actions=${html`<${Button} kind="bare little" href="/machines">All machines<//>`}>
    ${dashboard.data === undefined
      ? html`<div class="body"><${Bones} /></div>`
      : rows.length === 0
        ? html`<${Empty} icon="chart" title="Nothing runs">Figures appear here a few seconds after a machine has started.<//>`
        : html`<div class="table-wrap"><table class="table">
            <thead><tr><th scope="col">Name</th><th scope="col">CPU</th><th scope="col" class="hide-phone">Memory</th><th scope="col" class="number">Per hour</th></tr></thead>
            <tbody>
              ${rows.map(
                (/** @type {any} */ vm) => html`<tr key=${vm.vm_id}>
                  <td><a href=${link(`/machines/${vm.vm_id}`)}>${vm.name}</a></td>
                  <td><${Gauge} value=${vm.cpu_usage} label=${`CPU of ${vm.name}`} /></td>
                  <td class="hide-phone"><${Gauge} value=${vm.memory_usage} label=${`Memory of ${vm.name}`} /></td>
                  <td class="number">${money(vm.cost_per_hour)}</td>
                </tr>`,
              )}
            </tbody>
          </table></div>`}
  <//>`;
}

/** @param {{value: number, label: string}} properties */
const Gauge = ({ value, label }) => html`<span class="row"><span class="grow"><${Meter} value=${value} max=${100} label=${label} warnAt=${0.9} /></span><span class="number small gauge-figure">${percent(value)}</span></span>`;

/** @param {{dashboard: any}} properties */
function Alerts({ dashboard }) {
  return html`<${Card} title="Needs a look" pad=${false}>
    <${Loaded} of=${dashboard} lines=${3}>
      ${(/** @type {any} */ data) =>
        data.alerts.length === 0
          ? html`<div class="empty"><span class="art"><${Icon} name="check" /></span><h2>All is well</h2><p>Low credit, machines in error and busy ones show up here.</p></div>`
          : html`<ul class="lines">
              ${data.alerts.map(
                (/** @type {any} */ alert, /** @type {number} */ index) => html`<li key=${index}>
                  <${State} state=${alert.severity} />
                  <span class="grow wrap-any">${alert.vm_id ? html`<a href=${link(`/machines/${alert.vm_id}`)}>${alert.message}</a>` : alert.message}</span>
                </li>`,
              )}
            </ul>`}
    <//>
  <//>`;
}
