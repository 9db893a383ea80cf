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

/** Where a thing that an event names can be seen. @param {any} entry @returns {string | null} */
export function whereabouts(entry) {
  if (!entry.resource_id) return null;
  if (entry.resource_type === "vm") return `/machines/${entry.resource_id}`;
  return entry.resource_type === "project" ? `/projects/${entry.resource_id}` : null;
}

/** @param {{limit: number, only?: (entry: any) => boolean}} properties */
export function Happenings({ limit, only }) {
  const found = useResource(`/health/audit?limit=${only ? 200 : limit}`, { every: 10 });
  const names = useNames();
  return html`<${Loaded} of=${found}>
    ${(/** @type {any[]} */ entries) => {
      const shown = (only ? entries.filter(only) : entries).slice(0, limit);
      if (shown.length === 0) return html`<${Empty} icon="event" title="Nothing has happened yet">Whatever is done with your account, by you or by the platform, is written down here.<//>`;
      return html`<ul class="lines">${shown.map((entry) => html`<${Happening} key=${entry.id} entry=${entry} name=${entry.details?.name ?? names.get(entry.resource_id)} />`)}</ul>`;
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

/** @param {{entry: any, name?: string}} properties */
export function Happening({ entry, name }) {
  const [, icon, kind] = markOf(entry.action);
  const where = whereabouts(entry);
  return html`<li>
    <span class="mark ${kind}"><${Icon} name=${icon} /></span>
    <span class="grow"><span class="strong">${words(entry.action)}</span>${name && html` <span class="soft wrap-any">${where ? html`<a href=${link(where)}>${name}</a>` : name}</span>`}${!name && where && html` <a class="small" href=${link(where)}>Show</a>`}</span>
    <span class="faint small number"><${Time} at=${entry.timestamp} /></span>
  </li>`;
}
