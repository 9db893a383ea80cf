// Where the credit goes: by machine, project, type, label or day.
import { address } from "../core/api.js";
import { duration, money } from "../core/format.js";
import { useResource } from "../core/resource.js";
import { place, setQuery } from "../core/router.js";
import { html } from "../core/view.js";
import { Card, Loaded, Meter, Segments } from "../ui/basics.js";

const GROUPS = /** @type {[string, string][]} */ ([["type", "Type"], ["vm", "Machine"], ["project", "Project"], ["day", "Day"]]);
const MOST = 8;

export function Usage() {
  const by = place.value.query.get("by") ?? "type";
  const query = address("", { group_by: by, limit: MOST }).slice((document.body.dataset.root ?? "").length);
  const found = useResource(`/billing/usage${query}`, { every: 60 });
  return html`<${Card} title="Where it goes, in 30 days" actions=${html`<${Segments} label="Added up by" options=${GROUPS} value=${by} onChange=${(/** @type {string} */ next) => setQuery({ by: next })} />`}>
    <${Loaded} of=${found}>
      ${(/** @type {any} */ data) => {
        if (data.groups.length === 0) return html`<p class="soft">Nothing was charged in these days.</p>`;
        const most = Math.max(...data.groups.map((/** @type {any} */ group) => group.cost), 1e-6);
        return html`<div class="stack">
          ${data.groups.map((/** @type {any} */ group) => html`<div class="stack tight" key=${group.key}>
            <div class="row apart"><span class="wrap-any">${group.name ?? group.key ?? "without one"} <span class="small faint">${group.seconds ? duration(group.seconds / 3600) : ""}</span></span><span class="number">${money(group.cost)}</span></div>
            <${Meter} value=${group.cost} max=${most} label=${`Share of ${group.name ?? group.key}`} warnAt=${2} />
          </div>`)}
          <p class="small faint number">${money(data.total_cost)} in all${data.other_cost > 0 ? `, ${money(data.other_cost)} of it elsewhere` : ""}</p>
        </div>`;
      }}
    <//>
  <//>`;
}
