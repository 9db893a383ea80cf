// A new machine: what it is, what it costs by the hour and the month, and when the credit ends with it.
import { ApiError, newKey, post } from "../core/api.js";
import { create } from "../core/fleet.js";
import { dateTime, duration, memory, money, number } from "../core/format.js";
import { Icon } from "../core/icons.js";
import { invalidate, useResource } from "../core/resource.js";
import { link, place } from "../core/router.js";
import { html, useRef, useState } from "../core/view.js";
import { Bones, Button, Check, Notice, Select, TextField, Trouble } from "../ui/basics.js";
import { Dialog, toast } from "../ui/overlays.js";
import { parseLabels } from "./machine-actions.js";

const HOUR_MS = 3_600_000;

/** @param {{onClose: () => void}} properties */
export function Create({ onClose }) {
  const types = useResource("/instance-types").data;
  const images = useResource("/images").data;
  const projects = useResource("/projects").data?.filter((/** @type {any} */ one) => one.role !== "viewer");
  const keys = useResource("/ssh-keys").data;
  const [form, setForm] = useState(/** @type {Record<string, any>} */ ({ name: "", type: "", image: "", project: "", newProject: "default", keys: null, labels: "", protect: false, data: "" }));
  const [error, setError] = useState(/** @type {ApiError | null} */ (null));
  const [busy, setBusy] = useState(false);
  const key = useRef(newKey());
  const set = (/** @type {string} */ name) => (/** @type {any} */ value) => {
    key.current = newKey(); // Another wish is another request.
    setForm((before) => ({ ...before, [name]: value }));
  };
  const ready = types && images && projects;
  const type = form.type || types?.[0]?.name || "";
  const image = form.image || newest(images) || "";
  const named = place.value.query.get("project");
  const owner = (projects ?? []).find((/** @type {any} */ one) => one.id === (form.project || named)) ?? projects?.[0];
  const project = owner?.id ?? "";
  const quote = useResource(type ? "/billing/quote" : null, { every: 30, body: { instance_type: type } });
  const labels = parseLabels(form.labels);
  const chosenKeys = form.keys ?? (keys ?? []).map((/** @type {any} */ one) => one.id);

  const submit = async () => {
    if (labels === null) return;
    setBusy(true);
    setError(null);
    try {
      const into = project || (await post("/projects", { name: form.newProject || "default" })).id;
      const vm = await create(
        {
          name: form.name.trim(),
          instance_type: type,
          image,
          project_id: into,
          ...(chosenKeys.length > 0 ? { ssh_keys: chosenKeys } : {}),
          ...(Object.keys(labels).length > 0 ? { labels } : {}),
          ...(form.protect ? { delete_protection: true } : {}),
          ...(form.data ? { user_data: form.data } : {}),
        },
        key.current,
      );
      if (!project) void invalidate("/projects");
      toast(vm.status === "running" ? `${vm.name} is running` : `${vm.name} is on its way`, "good");
      onClose();
    } catch (failure) {
      if (!(failure instanceof ApiError)) throw failure;
      setError(failure);
      setBusy(false);
    }
  };

  return html`<${Dialog} title="Create a machine" large onClose=${onClose} onSubmit=${submit}
    foot=${html`<${InShort} quote=${quote.data} /><${Button} onClick=${onClose}>Cancel<//><${Button} type="submit" kind="primary" busy=${busy} icon=${busy ? "busy" : "plus"} disabled=${!ready}>Create machine<//>`}>
    ${error && html`<${Notice} kind="bad" icon="alert">${error.message} ${error.code === "INSUFFICIENT_CREDITS" && html`<a href=${link("/billing")} onClick=${onClose}>Add credit</a>`}<//>`}
    ${!ready
      ? html`<${Bones} lines=${6} />`
      : html`<div class="create-columns">
          <div class="stack">
            <${TextField} label="Name" autofocus autocomplete="off" spellcheck="false" required placeholder="web-1" hint="Letters, digits and hyphens; it is also the host name." value=${form.name} onInput=${set("name")} problem=${error?.of("name")} />
            <${Sizes} types=${types} value=${type} onChange=${set("type")} />
            <div class="grid">
              <${Select} label="Image" value=${image} onChange=${set("image")} options=${images.map((/** @type {any} */ one) => [one.name, one.description || one.name])} problem=${error?.of("image")} />
              ${projects.length > 0
                ? html`<${Select} label="Project" value=${project} onChange=${set("project")} options=${projects.map((/** @type {any} */ one) => [one.id, one.name])} />`
                : html`<${TextField} label="Project" hint="Your first project is made with it." value=${form.newProject} onInput=${set("newProject")} problem=${error?.of("project_id")} />`}
            </div>
            <details class="more"><summary>Keys, labels, protection, first boot</summary>
              <div class="stack">
                ${keys?.length > 0
                  ? html`<fieldset class="stack tight"><legend class="field-label">SSH keys</legend>${keys.map((/** @type {any} */ one) => html`<${Check} key=${one.id} label=${one.name} checked=${chosenKeys.includes(one.id)} onChange=${(/** @type {boolean} */ on) => set("keys")(on ? [...chosenKeys, one.id] : chosenKeys.filter((/** @type {string} */ id) => id !== one.id))} />`)}</fieldset>`
                  : html`<p class="soft small">SSH keys that you add in <a href=${link("/settings/keys")} onClick=${onClose}>settings</a> are put on new machines.</p>`}
                <${TextField} label="Labels" hint="name=value, several with commas between them" placeholder="env=test, tier=web" value=${form.labels} onInput=${set("labels")} problem=${labels === null ? "Write each label as name=value." : error?.of("labels")} />
                <${Check} label="Protect against deletion" checked=${form.protect} onChange=${set("protect")} />
                <${TextField} multiline label="User data" hint="A script or cloud-config for the first boot; kept encrypted." value=${form.data} onInput=${set("data")} spellcheck="false" problem=${error?.of("user_data")} />
              </div>
            </details>
          </div>
          <${Quote} of=${quote} isOthers=${owner !== undefined && owner.role !== "owner"} />
        </div>`}
  <//>`;
}

/** @param {any[] | undefined} images */
function newest(images) {
  const usable = (images ?? []).filter((one) => !one.deprecated_at);
  return (usable.find((one) => one.distribution.toLowerCase() === "debian") ?? usable[0] ?? images?.[0])?.name;
}

/** @param {{types: any[], value: string, onChange: (name: string) => void}} properties */
const Sizes = ({ types, value, onChange }) => html`<fieldset class="stack tight">
  <legend class="field-label">Size</legend>
  <div class="choices">
    ${types.map(
      (type) => html`<label class="choice" key=${type.name}>
        <input type="radio" name="type" value=${type.name} checked=${type.name === value} onChange=${() => onChange(type.name)} />
        <span class="tick-mark"><${Icon} name="check" /></span>
        <span class="strong">${type.name}</span>
        <span class="small soft">${type.vcpus} vCPU · ${memory(type.memory_mib)} · ${type.disk_gib} GiB</span>
        <span class="small number">${money(type.price_per_hour)} <span class="faint">per hour</span></span>
      </label>`,
    )}
  </div>
</fieldset>`;

/** The price where the column beside the form has no place: on a phone. @param {{quote: any}} properties */
const InShort = ({ quote }) => quote && html`<p class="phone-only grow small number"><strong>${money(quote.price_per_hour)}</strong> per hour, ${money(quote.price_per_30_days)} a month</p>`;

/** What it costs, before the click, as the server works it out. @param {{of: any, isOthers: boolean}} properties */
function Quote({ of, isOthers }) {
  const told = of.data;
  if (!told) return html`<aside class="quote" aria-label="Price">${of.error ? html`<${Trouble} error=${of.error} again=${of.reload} />` : html`<${Bones} lines=${4} />`}</aside>`;
  return html`<aside class="quote" aria-label="Price">
    <div class="price"><strong>${money(told.price_per_hour)}</strong><span class="faint">per hour</span></div>
    <dl class="facts">
      <dt>A month</dt><dd class="number">${money(told.price_per_30_days)}</dd>
      ${told.create_fee > 0 && html`<dt>Once</dt><dd class="number">${money(told.create_fee)}</dd>`}
      ${told.discount_percent > 0 && html`<dt>Discount</dt><dd class="number">${number(told.discount_percent, 2)} %</dd>`}
      <dt>Free credit</dt><dd class="number">${money(told.available)}</dd>
      <dt>Held at once</dt><dd class="number">${money(told.hold)}</dd>
      <dt>Credit ends</dt><dd class="number">${told.credit_would_end_at ? html`in ${duration((Date.parse(told.credit_would_end_at) - Date.now()) / HOUR_MS)}<br /><span class="faint small">${dateTime(told.credit_would_end_at)}</span>` : "not within a year"}</dd>
      <dt>Without it</dt><dd class="number faint small">${told.credit_ends_at ? dateTime(told.credit_ends_at) : "not within a year"}</dd>
    </dl>
    ${isOthers
      ? html`<${Notice} icon="users">The owner of this project pays, from their credit and not from yours.<//>`
      : told.is_affordable
        ? html`<p class="small soft">Billed by the second, from the first running instant until you stop it.</p>`
        : html`<${Notice} kind="warn" icon="alert">${money(told.required)} must be free to start it. <a href=${link("/billing")}>Add credit</a><//>`}
  </aside>`;
}
