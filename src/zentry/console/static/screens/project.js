// One project: its machines, its quotas, and how it ends.
import { path, put, remove } from "../core/api.js";
import { date, money, plural } from "../core/format.js";
import { invalidate, useResource } from "../core/resource.js";
import { link, navigate } from "../core/router.js";
import { html, useEffect, useState } from "../core/view.js";
import { Bones, Button, Card, Empty, Head, MachineState, Notice, Stat, TextField, Trouble } from "../ui/basics.js";
import { attempt, confirm, Dialog, toast } from "../ui/overlays.js";
import { Quotas } from "./quotas.js";

/** @param {{id: string}} properties */
export default function Project({ id }) {
  const found = useResource(path`/projects/${id}`, { every: 8 });
  const statistics = useResource(path`/projects/${id}/statistics`, { every: 15 }).data;
  const [editing, setEditing] = useState(false);
  const project = found.data;
  if (project === undefined) {
    if (found.error?.status === 404) return html`<${Head} title="Project not found" crumbs=${[["/projects", "Projects"]]} /><${Card}><${Empty} icon="project" title="There is no such project" action=${html`<${Button} href="/projects">To your projects<//>`}>It does not exist, or it belongs to somebody else.<//><//>`;
    return html`<${Head} title="Project" crumbs=${[["/projects", "Projects"]]} />${found.error ? html`<${Trouble} error=${found.error} again=${found.reload} />` : html`<${Card}><${Bones} lines=${6} /><//>`}`;
  }
  const machines = project.vms.filter((/** @type {any} */ vm) => vm.status !== "terminated");
  return html`<${Head} title=${project.name} crumbs=${[["/projects", "Projects"]]} actions=${html`<${Button} onClick=${() => setEditing(true)}>Edit<//><${Button} kind="primary" icon="plus" onClick=${() => navigate("/machines?create=1")}>Create machine<//>`}>
      <p class="soft wrap-any">${project.description || `Since ${date(project.created_at)}`}</p>
    <//>
    <div class="grid stats">
      <${Stat} label="Machines" icon="machine" value=${machines.length} note=${`${project.active_vm_count} running`} />
      <${Stat} label="Burn rate" icon="bolt" value=${html`${money(statistics?.running_cost_per_hour)} <small>per hour</small>`} />
      <${Stat} label="Cost so far" icon="billing" value=${money(project.total_cost)} />
    </div>
    <div class="grid lead">
      <${Card} title="Machines" pad=${false} actions=${html`<${Button} kind="bare little" href=${`/machines?project=${id}`}>In the list<//>`}>
        ${machines.length === 0
          ? html`<${Empty} icon="machine" title="No machines in this project" action=${html`<${Button} kind="primary" icon="plus" onClick=${() => navigate("/machines?create=1")}>Create machine<//>`} />`
          : html`<ul class="lines">${machines.slice(0, 100).map((/** @type {any} */ vm) => html`<li key=${vm.id}><span class="grow"><a class="strong wrap-any" href=${link(`/machines/${vm.id}`)}>${vm.name}</a><br /><span class="small faint">${vm.instance_type} · ${vm.image} · ${vm.ip_address}</span></span><${MachineState} vm=${vm} /></li>`)}</ul>`}
      <//>
      <div class="stack">
        <${Card} title="Quotas"><${Quotas} path=${path`/projects/${id}/quotas`} /><//>
        <${End} project=${project} />
      </div>
    </div>
    ${editing && html`<${Edit} project=${project} onClose=${() => setEditing(false)} />`}`;
}

/** @param {{project: any}} properties */
function End({ project }) {
  const preview = useResource(path`/projects/${project.id}/deletion`);
  useEffect(() => void preview.reload(), [project.vm_count]);
  const doomed = preview.data?.vms ?? [];
  const kept = preview.data?.protected ?? [];
  const go = async () => {
    const text = html`<p>${doomed.length === 0 ? "It holds no machines." : `With it, ${plural(doomed.length, "machine")} are deleted for good:`}</p>
      ${doomed.length > 0 && html`<ul class="wrap-any">${doomed.slice(0, 8).map((/** @type {any} */ vm) => html`<li>${vm.name} <span class="faint">${vm.status}</span></li>`)}${doomed.length > 8 && html`<li>and ${doomed.length - 8} more</li>`}</ul>`}`;
    if (!(await confirm({ title: `Delete ${project.name}?`, text, verb: "Delete project", typed: project.name }))) return;
    const done = await attempt(() => remove(path`/projects/${project.id}`));
    if (done === undefined) return;
    toast(done.message, "good");
    void invalidate("/projects", "/quotas", "/vms");
    navigate("/projects");
  };
  return html`<${Card} title="Delete this project" kind="danger-zone">
    <div class="stack tight">
      ${kept.length > 0 ? html`<${Notice} icon="lock">${kept.length === 1 ? "A machine is" : "Some machines are"} protected against deletion: ${kept.length}. Take the protection off first.<//>` : html`<p class="soft">${doomed.length === 0 ? "It holds nothing that would be lost." : `${plural(doomed.length, "machine")} would be deleted with it.`}</p>`}
      <div><${Button} kind="danger" icon="trash" disabled=${preview.data?.allowed === false} onClick=${go}>Delete project<//></div>
    </div>
  <//>`;
}

/** @param {{project: any, onClose: () => void}} properties */
function Edit({ project, onClose }) {
  const [name, setName] = useState(project.name);
  const [description, setDescription] = useState(project.description);
  const go = async () => {
    if ((await attempt(() => put(path`/projects/${project.id}`, { ...(name === project.name ? {} : { name }), description }), "Saved")) === undefined) return;
    void invalidate("/projects");
    onClose();
  };
  return html`<${Dialog} title=${`Edit ${project.name}`} onClose=${onClose} onSubmit=${go} foot=${html`<${Button} onClick=${onClose}>Cancel<//><${Button} type="submit" kind="primary">Save<//>`}>
    <${TextField} label="Name" autofocus value=${name} onInput=${setName} />
    <${TextField} label="Description" multiline value=${description} onInput=${setDescription} />
  <//>`;
}
