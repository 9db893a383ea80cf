// For administrators: the platform itself. Each part is fetched when it is first shown.
import { number, words } from "../core/format.js";
import { useResource } from "../core/resource.js";
import { isAdmin } from "../core/session.js";
import { html } from "../core/view.js";
import { Card, Empty, Head, Loaded, Meter, Stat, State, Tabs } from "../ui/basics.js";
import { lazy } from "../ui/form.js";

const TABS = /** @type {[string, string][]} */ ([["/admin", "Health"], ["/admin/users", "Accounts"], ["/admin/operations", "Operations"], ["/admin/drivers", "Drivers"], ["/admin/simulator", "Simulator"], ["/admin/prices", "Prices"], ["/admin/books", "Books"], ["/admin/audit", "Audit"]]);
/** @type {Record<string, any>} */
const PARTS = {
  users: lazy(() => import("./admin-users.js"), "Users"),
  operations: lazy(() => import("./admin-operations.js"), "AllOperations"),
  drivers: lazy(() => import("./admin-operations.js"), "Drivers"),
  simulator: lazy(() => import("./admin-simulator.js"), "Simulator"),
  prices: lazy(() => import("./admin-prices.js"), "PriceLists"),
  books: lazy(() => import("./admin-books.js"), "Books"),
  audit: lazy(() => import("./admin-books.js"), "Audit"),
};

/** @param {{tab?: string, id?: string}} properties */
export default function Admin({ tab = "", id }) {
  if (!isAdmin.value) return html`<${Head} title="Administration" /><${Card}><${Empty} icon="lock" title="This is for administrators">Ask whoever runs this platform: <code>zentry admin</code> grants the role.<//><//>`;
  const View = PARTS[tab] ?? Health;
  return html`<${Head} title="Administration"><p class="soft">The platform itself.</p><//>
    <${Tabs} label="Administration" tabs=${TABS} current=${tab ? `/admin/${tab}` : "/admin"} />
    <${View} key=${tab} id=${id} />`;
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
