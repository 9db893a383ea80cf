// What has happened, as a list: on the overview, on its own screen, on a machine's.
import { words } from "../core/format.js";
import { Icon } from "../core/icons.js";
import { useResource } from "../core/resource.js";
import { link } from "../core/router.js";
import { html, useMemo } from "../core/view.js";
import { Empty, Loaded, Time } from "../ui/basics.js";

/** @type {[RegExp, string, string][]} */
const MARKS = [
  [/fail|error|lost|exhaust|refus|revok/, "alert", "bad"],
  [/low|warn|stopped_for|suspend/, "alert", "warn"],
  [/creat|signed_up|grant|added|topped_up/, "plus", "good"],
  [/start|running|resum/, "play", "good"],
  [/delet|terminat|remov/, "trash", ""],
  [/stop/, "stop", ""],
  [/logged|session|password|account/, "user", ""],
  [/credit|billing|charge|hold/, "billing", ""],
  [/snapshot/, "camera", ""],
  [/restart|reboot/, "restart", ""],
];

/** @param {string} kind */
export const markOf = (kind) => MARKS.find(([pattern]) => pattern.test(kind)) ?? [/./, "event", ""];

/** Where a thing that an event names can be seen. @param {any} event @returns {string | null} */
export function whereabouts(event) {
  if (event.resource_type === "vm") return `/machines/${event.resource_id}`;
  return event.resource_type === "project" ? `/projects/${event.resource_id}` : null;
}

/** @param {{limit: number, of?: string}} properties - `of` is the id of a machine or another thing */
export function Happenings({ limit, of }) {
  const found = useResource(`/events?limit=${limit}${of ? `&resource_id=${encodeURIComponent(of)}` : ""}`, { every: 10 });
  const names = useNames();
  return html`<${Loaded} of=${found}>
    ${(/** @type {any} */ { events }) => {
      if (events.length === 0) return html`<${Empty} icon="event" title="Nothing has happened yet">Whatever is done with your account, by you or by the platform, is written down here.<//>`;
      return html`<ul class="lines">${events.map((/** @type {any} */ event) => html`<${Happening} key=${event.id} event=${event} name=${event.data.name ?? names.get(event.resource_id)} />`)}</ul>`;
    }}
  <//>`;
}

/** How machines and projects are called, by their ids. @returns {Map<string, string>} */
export function useNames() {
  const vms = useResource("/monitoring/dashboard").data?.vm_summary;
  const projects = useResource("/projects").data;
  return useMemo(
    () => new Map([...(vms ?? []).map((/** @type {any} */ vm) => [vm.vm_id, vm.name]), ...(projects ?? []).map((/** @type {any} */ project) => [project.id, project.name])]),
    [vms, projects],
  );
}

/** @type {Record<string, string>} */
const CAUSES = { credit: "because the credit ended", reconciler: "found by the platform", user: "" };

/** @param {{event: any, name?: string}} properties */
export function Happening({ event, name }) {
  const [, icon, kind] = markOf(event.kind);
  const where = whereabouts(event);
  const { before, after, error_message: error } = event.data;
  const moved = before && after && before !== after ? `${before} → ${after}` : "";
  return html`<li>
    <span class="mark ${kind}"><${Icon} name=${icon} /></span>
    <span class="grow"><span class="strong">${words(event.kind)}</span>${name && html` <span class="wrap-any">${where ? html`<a href=${link(where)}>${name}</a>` : name}</span>`}
      ${(moved || CAUSES[event.cause] || error) && html`<br /><span class="small faint wrap-any">${[moved, CAUSES[event.cause], error].filter(Boolean).join(", ")}</span>`}</span>
    <span class="faint small number"><${Time} at=${event.created_at} /></span>
  </li>`;
}
