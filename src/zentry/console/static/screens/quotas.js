// How much of what is allowed is used.
import { memory, number } from "../core/format.js";
import { useResource } from "../core/resource.js";
import { html } from "../core/view.js";
import { Loaded, Meter } from "../ui/basics.js";

/** @type {Record<string, [string, (value: number) => string]>} */
const NAMES = {
  projects: ["Projects", number],
  vms: ["Machines", number],
  vcpus: ["vCPUs", number],
  memory_mib: ["Memory", memory],
  disk_gib: ["Disk", (value) => `${number(value)} GB`],
  snapshots: ["Snapshots", number],
};

/** @param {{path: string}} properties */
export function Quotas({ path }) {
  const found = useResource(path, { every: 30 });
  return html`<${Loaded} of=${found}>
    ${(/** @type {any} */ data) => html`<div class="quotas">
      ${data.quotas.map((/** @type {any} */ quota) => {
        const [name, format] = NAMES[quota.resource] ?? [quota.resource, number];
        return html`<div class="stack tight" key=${quota.resource}>
          <div class="row apart"><span class="soft">${name}</span><span class="number small"><strong>${format(quota.used)}</strong> <span class="faint">of ${format(quota.maximum)}</span></span></div>
          <${Meter} value=${quota.used} max=${quota.maximum} label=${`${name}: used of the quota`} />
        </div>`;
      })}
    </div>`}
  <//>`;
}
