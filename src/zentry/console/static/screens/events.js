// Everything that has happened to the account, newest first, and live.
import { address } from "../core/api.js";
import { Icon } from "../core/icons.js";
import { mode } from "../core/live.js";
import { useResource } from "../core/resource.js";
import { place, setQuery } from "../core/router.js";
import { html } from "../core/view.js";
import { Badge, Button, Card, curl, Empty, Head, Loaded, Select } from "../ui/basics.js";
import { Happening, useNames } from "./happenings.js";

const PAGE = 50;
const KINDS = /** @type {[string, string][]} */ ([["", "All kinds"], ["vm.", "Machines"], ["project.", "Projects"], ["credit.", "Credit"], ["account.", "Account"], ["ssh_key.", "SSH keys"], ["operation.", "Operations"]]);

export default function Events() {
  const query = place.value.query;
  const chosen = { kind: query.get("kind"), project_id: query.get("project"), since: query.get("since"), until: query.get("until") };
  const where = address("/events", { limit: PAGE, cursor: query.get("before"), ...chosen }).slice((document.body.dataset.root ?? "").length);
  const found = useResource(where, { every: query.get("before") ? 0 : 8 });
  const projects = useResource("/projects").data ?? [];
  const names = useNames();
  const set = (/** @type {Record<string, string | null>} */ changes) => setQuery({ before: null, ...changes });
  return html`<${Head} title="Events" actions=${mode.value === "live" && html`<${Badge} kind="good" icon="bolt">live<//>`}><p class="soft">What was done, by you and by the platform.</p><//>
    <${Card} pad=${false}>
      <div class="toolbar">
        <${Select} bare label="Kind" value=${chosen.kind ?? ""} onChange=${(/** @type {string} */ kind) => set({ kind })} options=${KINDS} />
        ${projects.length > 0 && html`<${Select} bare label="Project" value=${chosen.project_id ?? ""} onChange=${(/** @type {string} */ project) => set({ project })} options=${[["", "Your own"], ...projects.map((/** @type {any} */ one) => [one.id, `Project ${one.name}`])]} />`}
        <label class="row small soft">From <input class="input" type="date" value=${chosen.since ?? ""} onChange=${(/** @type {any} */ event) => set({ since: event.currentTarget.value })} /></label>
        <label class="row small soft">before <input class="input" type="date" value=${chosen.until ?? ""} onChange=${(/** @type {any} */ event) => set({ until: event.currentTarget.value })} /></label>
      </div>
      <${Loaded} of=${found} lines=${10}>
        ${(/** @type {any} */ data) => html`${data.events.length === 0
            ? html`<${Empty} icon="event" title="No event fits the filter" command=${curl("GET", "/events/stream").replace("curl", "curl -N")}>Follow them as they happen, from here or from a terminal.<//>`
            : html`<ul class="lines">${data.events.map((/** @type {any} */ event) => html`<${Happening} key=${event.id} event=${event} name=${event.data.name ?? names.get(event.resource_id)} />`)}</ul>`}
          ${(query.get("before") || data.next_cursor !== null) &&
          html`<footer class="row end"><${Button} kind="little" icon="left" disabled=${!query.get("before")} onClick=${() => history.back()}>Newer<//><${Button} kind="little" disabled=${data.next_cursor === null} onClick=${() => older(data.next_cursor)}>Older<${Icon} name="right" /><//></footer>`}`}
      <//>
    <//>`;
}

/** A page of its own in the history, so that the back button turns it back. @param {number} cursor */
function older(cursor) {
  history.pushState(null, "", location.href);
  setQuery({ before: String(cursor) });
}
