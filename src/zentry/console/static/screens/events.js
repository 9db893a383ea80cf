// Everything that has happened to the account, newest first.
import { address } from "../core/api.js";
import { words } from "../core/format.js";
import { Icon } from "../core/icons.js";
import { useResource } from "../core/resource.js";
import { place, setQuery } from "../core/router.js";
import { html } from "../core/view.js";
import { Button, Card, curl, Empty, Head, Loaded, Select } from "../ui/basics.js";
import { Happening, useNames } from "./happenings.js";

const PAGE = 100;

export default function Events() {
  const query = place.value.query;
  const offset = Number(query.get("from")) || 0;
  const text = (query.get("q") ?? "").toLowerCase();
  const kind = query.get("kind") ?? "";
  const found = useResource(address("/health/audit", { limit: PAGE, offset }).slice((document.body.dataset.root ?? "").length), { every: 8 });
  const names = useNames();
  const kinds = [...new Set((found.data ?? []).map((/** @type {any} */ entry) => entry.action))].sort();
  return html`<${Head} title="Events"><p class="soft">What was done, by you and by the platform.</p><//>
    <${Card} pad=${false}>
      <div class="toolbar">
        <div class="search"><${Icon} name="search" /><input class="input" type="search" aria-label="Filter events" placeholder="Filter by what, or by name" value=${query.get("q") ?? ""} onInput=${(/** @type {any} */ event) => setQuery({ q: event.currentTarget.value })} /></div>
        <${Select} bare label="Kind" value=${kind} onChange=${(/** @type {string} */ value) => setQuery({ kind: value })} options=${[["", "All kinds"], ...kinds.map((one) => [one, words(one)])]} />
      </div>
      <${Loaded} of=${found} lines=${10}>
        ${(/** @type {any[]} */ entries) => {
          const shown = entries.filter((entry) => (!kind || entry.action === kind) && (!text || `${words(entry.action)} ${names.get(entry.resource_id) ?? ""} ${JSON.stringify(entry.details)}`.toLowerCase().includes(text)));
          return html`${shown.length === 0
              ? html`<${Empty} icon="event" title=${text || kind ? "No event fits the filter" : "Nothing has happened yet"} command=${curl("GET", "/health/audit")} />`
              : html`<ul class="lines">${shown.map((entry) => html`<${Happening} key=${entry.id} entry=${entry} name=${entry.details?.name ?? names.get(entry.resource_id)} />`)}</ul>`}
            ${(offset > 0 || entries.length === PAGE) &&
            html`<footer class="row end"><${Button} kind="little" icon="left" disabled=${offset === 0} onClick=${() => setQuery({ from: offset > PAGE ? String(offset - PAGE) : null })}>Newer<//><${Button} kind="little" disabled=${entries.length < PAGE} onClick=${() => setQuery({ from: String(offset + PAGE) })}>Older<${Icon} name="right" /><//></footer>`}`;
        }}
      <//>
    <//>`;
}
