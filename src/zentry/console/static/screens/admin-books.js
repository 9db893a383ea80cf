// Do the books hold, and who has done what.
import { address } from "../core/api.js";
import { exactTime, number, words } from "../core/format.js";
import { Icon } from "../core/icons.js";
import { useResource } from "../core/resource.js";
import { place, setQuery } from "../core/router.js";
import { html, useState } from "../core/view.js";
import { Button, Card, curl, Empty, Loaded, Notice, Time } from "../ui/basics.js";

const PAGE = 50;

export function Books() {
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
    <${Card} title="Quotas against a recount" pad=${false}>
      <${Loaded} of=${drift}>${(/** @type {any} */ data) => (data.items.length === 0 ? html`<${Empty} icon="check" title="No drift">Every counter is what a recount says.<//>` : html`<ul class="lines">${data.items.map((/** @type {any} */ item) => html`<li><span class="grow mono small wrap-any">${item.owner_id}</span><span>${item.resource}</span><span class="number">${item.used} / ${item.counted}</span></li>`)}</ul>`)}<//>
    <//>
    <${Card} title="Rows of the database" pad=${false}>
      <${Loaded} of=${tables}>${(/** @type {any} */ data) => html`<div class="table-wrap"><table class="table"><thead><tr><th scope="col">Table</th><th scope="col" class="number">Rows</th></tr></thead><tbody>${Object.entries(data.tables).map(([name, rows]) => html`<tr key=${name}><td class="mono">${name}</td><td class="number">${number(/** @type {number} */ (rows))}</td></tr>`)}</tbody></table></div>`}<//>
    <//>
  </div>`;
}

/** The log of what was done, by whom and from where; by account or by thing. */
export function Audit() {
  const query = place.value.query;
  const [cursors, setCursors] = useState(/** @type {string[]} */ ([]));
  const asked = { user_id: query.get("user"), resource_id: query.get("resource"), limit: PAGE, cursor: cursors[cursors.length - 1] };
  const found = useResource(address("/admin/audit", asked).slice((document.body.dataset.root ?? "").length), { every: cursors.length > 0 ? 0 : 15 });
  const filter = (/** @type {string} */ name) => (/** @type {any} */ event) => {
    setCursors([]);
    setQuery({ [name]: event.currentTarget.value.trim() });
  };
  return html`<${Card} title="What was done" pad=${false}>
    <div class="toolbar">
      <div class="search"><${Icon} name="user" /><input class="input" type="search" aria-label="Of which account, by its id" placeholder="Id of an account" value=${query.get("user") ?? ""} onChange=${filter("user")} /></div>
      <div class="search"><${Icon} name="search" /><input class="input" type="search" aria-label="About which thing, by its id" placeholder="Id of a machine, project, …" value=${query.get("resource") ?? ""} onChange=${filter("resource")} /></div>
    </div>
    <${Loaded} of=${found} lines=${8}>
      ${(/** @type {any} */ data) =>
        data.entries.length === 0
          ? html`<${Empty} icon="event" title="Nothing fits" command=${curl("GET", "/admin/audit")} />`
          : html`<ul class="lines">${data.entries.map((/** @type {any} */ one) => html`<li key=${one.position}>
                <details class="grow audit"><summary><span class="strong">${words(one.kind)}</span> <span class="small faint wrap-any">${[one.cause !== "user" && words(one.cause), one.data.name, one.address].filter(Boolean).join(" · ")}</span></summary>
                  <dl class="facts small"><dt>When</dt><dd>${exactTime(one.created_at)}</dd><dt>Account</dt><dd class="mono">${one.user_id ?? "–"}</dd><dt>Asked by</dt><dd class="mono">${one.actor_id ?? "the platform"}</dd><dt>About</dt><dd class="mono">${one.resource_type} ${one.resource_id}</dd>
                    ${one.operation_id && html`<dt>Operation</dt><dd class="mono">${one.operation_id}</dd>`}${one.request_id && html`<dt>Request</dt><dd class="mono">${one.request_id}</dd>`}${one.session_id && html`<dt>Session</dt><dd class="mono">${one.session_id}</dd>`}${one.agent && html`<dt>Client</dt><dd>${one.agent}</dd>`}
                    <dt>Facts</dt><dd class="mono wrap-any">${JSON.stringify(one.data)}</dd></dl></details>
                <span class="faint small"><${Time} at=${one.created_at} /></span>
              </li>`)}</ul>
              <footer class="row apart"><span class="small faint number">from ${number(data.entries[0].position)} to ${number(data.entries[data.entries.length - 1].position)}</span>
                <span class="row"><${Button} kind="little" icon="left" disabled=${cursors.length === 0} onClick=${() => setCursors(cursors.slice(0, -1))}>Newer<//><${Button} kind="little" disabled=${data.next_cursor === null} onClick=${() => setCursors([...cursors, String(data.next_cursor)])}>Older<${Icon} name="right" /><//></span></footer>`}
    <//>
  <//>`;
}
