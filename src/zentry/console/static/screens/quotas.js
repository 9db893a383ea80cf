// How much of what is allowed is used.
import { patch } from "../core/api.js";
import { memory, number } from "../core/format.js";
import { invalidate, useResource } from "../core/resource.js";
import { html, useState } from "../core/view.js";
import { Bones, Button, Loaded, Meter, TextField } from "../ui/basics.js";
import { FormDialog } from "../ui/form.js";
import { toast } from "../ui/overlays.js";

/** @type {Record<string, [string, (value: number) => string]>} */
const NAMES = {
  projects: ["Projects", number],
  vms: ["Machines", number],
  vcpus: ["vCPUs", number],
  memory_mib: ["Memory", memory],
  disk_gib: ["Disk", (value) => `${number(value)} GiB`],
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

/** A button with which an administrator sets them. @param {{path: string}} properties */
export function ChangeQuotas({ path }) {
  const [open, setOpen] = useState(false);
  return html`<${Button} kind="little" icon="settings" onClick=${() => setOpen(true)}>Change<//>${open && html`<${SetQuotas} path=${path} onClose=${() => setOpen(false)} />`}`;
}

/** @param {{path: string, onClose: () => void}} properties */
function SetQuotas({ path, onClose }) {
  const now = useResource(path).data?.quotas;
  const [wanted, setWanted] = useState(/** @type {Record<string, string>} */ ({}));
  const shown = Object.keys(NAMES).filter((name) => now?.some((/** @type {any} */ one) => one.resource === name));
  const changed = Object.fromEntries(Object.entries(wanted).filter(([, value]) => value.trim() !== "").map(([name, value]) => [name, Number(value)]));
  const does = async () => {
    await patch(path, changed);
    toast("The quotas hold from now on", "good");
    void invalidate(path, "/quotas", "/projects");
  };
  return html`<${FormDialog} title="Change the quotas" verb="Set quotas" onClose=${onClose} does=${does} fields=${shown} ready=${Object.keys(changed).length > 0}>
    ${(/** @type {any} */ error) =>
      now === undefined
        ? html`<${Bones} lines=${6} />`
        : html`<p class="soft">What is left empty stays as it is. Below what is in use, nothing is taken away and nothing is added.</p>
            <div class="grid">${shown.map((name) => {
              const quota = now?.find((/** @type {any} */ one) => one.resource === name);
              const unit = { memory_mib: " (MiB)", disk_gib: " (GiB)" }[name] ?? "";
              return html`<${TextField} key=${name} label=${`${NAMES[name][0]}${unit}`} inputmode="numeric" hint=${quota ? `${number(quota.used)} of ${number(quota.maximum)} in use` : undefined} value=${wanted[name] ?? ""} onInput=${(/** @type {string} */ value) => setWanted({ ...wanted, [name]: value })} problem=${error?.of(name)} />`;
            })}</div>`}
  <//>`;
}
