// For administrators: what is under way anywhere, and the engines that carry it out.
import { address, path, post } from "../core/api.js";
import { number, percent, words } from "../core/format.js";
import { Icon } from "../core/icons.js";
import { invalidate, useResource } from "../core/resource.js";
import { place, setQuery } from "../core/router.js";
import { html } from "../core/view.js";
import { Badge, Button, Card, curl, Empty, Loaded, Meter, Select, State, Time } from "../ui/basics.js";
import { attempt, confirm } from "../ui/overlays.js";

const PAGE = 50;
const MOST_HOSTS = 200;
const STATUSES = /** @type {[string, string][]} */ ([["", "All"], ["pending", "Pending"], ["running", "Running"], ["failed", "Failed"], ["succeeded", "Succeeded"], ["cancelled", "Cancelled"]]);

export function AllOperations() {
  const query = place.value.query;
  const where = address("/admin/operations", { limit: PAGE, status: query.get("status"), user_id: query.get("user"), vm_id: query.get("vm"), cursor: query.get("cursor") }).slice((document.body.dataset.root ?? "").length);
  const found = useResource(where, { every: 5 });
  const filter = (/** @type {string} */ name) => (/** @type {string} */ value) => setQuery({ [name]: value.trim(), cursor: null });
  const ask = async (/** @type {"cancel" | "retry"} */ verb, /** @type {any} */ one) => {
    if (verb === "cancel" && !(await confirm({ title: "Take it back?", text: html`<p>What was done of <span class="mono">${one.kind}</span> is undone, for its owner as well.</p>`, verb: "Take it back" }))) return;
    await attempt(() => post(path`/admin/operations/${one.id}/${verb}`), verb === "retry" ? "It is tried again" : "It is being taken back");
    await invalidate("/admin/operations");
  };
  return html`<${Card} pad=${false}>
    <div class="toolbar">
      <${Select} bare label="Status" value=${query.get("status") ?? ""} onChange=${filter("status")} options=${STATUSES} />
      <div class="search"><${Icon} name="user" /><input class="input" type="search" aria-label="Of which account, by its id" placeholder="Id of an account" value=${query.get("user") ?? ""} onChange=${(/** @type {any} */ event) => filter("user")(event.currentTarget.value)} /></div>
      <div class="search"><${Icon} name="machine" /><input class="input" type="search" aria-label="Of which machine, by its id" placeholder="Id of a machine" value=${query.get("vm") ?? ""} onChange=${(/** @type {any} */ event) => filter("vm")(event.currentTarget.value)} /></div>
    </div>
    <${Loaded} of=${found} lines=${8}>
      ${(/** @type {any} */ data) =>
        data.operations.length === 0
          ? html`<${Empty} icon="clock" title="No operation fits" command=${curl("GET", "/admin/operations?status=failed")} />`
          : html`<div class="table-wrap"><table class="table">
              <thead><tr><th scope="col">What</th><th scope="col">How it goes</th><th scope="col" class="hide-phone">Asked</th><th scope="col"><span class="visually-hidden">Actions</span></th></tr></thead>
              <tbody>${data.operations.map((/** @type {any} */ one) => html`<tr key=${one.id}>
                <td>${words(one.kind.replace("vms.", ""))}${one.attempt > 1 && html` <span class="small faint">try ${one.attempt}</span>`}<br /><span class="small faint mono wrap-any hide-phone">${one.vm_id}</span></td>
                <td><div class="stack tight"><span><${State} state=${one.status} label=${one.undoing && one.status === "running" ? "taking back" : undefined} /> <span class="small faint">${one.status === "running" ? one.step : ""}</span></span>${one.error && html`<span class="small bad wrap-any">${one.error.message}</span>`}${one.status === "running" && html`<${Meter} value=${one.progress} max=${100} label="Progress in percent" warnAt=${2} />`}</div></td>
                <td class="hide-phone"><${Time} at=${one.created_at} /></td>
                <td class="right">${["pending", "running"].includes(one.status) && html`<${Button} kind="little" onClick=${() => ask("cancel", one)}>Cancel<//>`}${one.status === "failed" && html`<${Button} kind="little" onClick=${() => ask("retry", one)}>Try again<//>`}</td>
              </tr>`)}</tbody>
            </table></div>
            ${(query.get("cursor") || data.next_cursor) && html`<footer class="row end">${query.get("cursor") && html`<${Button} kind="little" icon="left" onClick=${() => setQuery({ cursor: null })}>To the newest<//>`}${data.next_cursor && html`<${Button} kind="little" onClick=${() => setQuery({ cursor: data.next_cursor })}>Older<${Icon} name="right" /><//>`}</footer>`}`}
    <//>
  <//>`;
}

export function Drivers() {
  const found = useResource("/admin/drivers", { every: 10 });
  return html`<${Loaded} of=${found} lines=${6}>
    ${(/** @type {any[]} */ drivers) => drivers.map((driver) => html`<${Card} key=${driver.name} title=${words(driver.name)} pad=${false} actions=${html`<span class="small soft">${number(driver.machines)} machines</span><${State} state=${driver.state === "unavailable" ? "unhealthy" : driver.state} label=${driver.state} />`}>
      ${driver.reason && html`<div class="body wrap-any">${driver.reason}</div>`}
      <div class="toolbar">${Object.entries(driver.capabilities).map(([name, can]) => html`<${Badge} key=${name} kind=${can ? "good" : ""} icon=${can ? "check" : "minus"}>${words(name)}<//>`)}</div>
      <div class="table-wrap" tabindex="0" role="region" aria-label=${`Hosts of ${driver.name}`}><table class="table"><thead><tr><th scope="col">Host</th><th scope="col">State</th><th scope="col" class="number">Machines</th><th scope="col" class="number">vCPUs</th><th scope="col" class="number">Memory</th><th scope="col" class="number">Disk</th></tr></thead>
        <tbody>${driver.hosts.slice(0, MOST_HOSTS).map((/** @type {any} */ host) => html`<tr key=${host.name}><th scope="row" class="mono">${host.name}</th><td><${State} state=${host.online ? "healthy" : "unhealthy"} label=${host.online ? "online" : "away"} /></td><td class="number">${number(host.machines)}</td><td class="number">${number(host.vcpus_used)} of ${number(host.vcpus)}</td><td class="number">${percent((host.memory_mib_used / Math.max(1, host.memory_mib)) * 100)}</td><td class="number">${percent((host.disk_gib_used / Math.max(1, host.disk_gib)) * 100)}</td></tr>`)}</tbody></table></div>
    <//>`)}
  <//>`;
}
