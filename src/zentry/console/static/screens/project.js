// One project: its machines, its people, its quotas, and how it ends.
import { path, put, remove } from "../core/api.js";
import { date, money, plural } from "../core/format.js";
import { invalidate, useResource } from "../core/resource.js";
import { link, navigate } from "../core/router.js";
import { isAdmin } from "../core/session.js";
import { html, useEffect, useState } from "../core/view.js";
import { Bones, Button, Card, curl, Empty, Head, MachineState, Notice, Stat, TextField, Trouble } from "../ui/basics.js";
import { FormDialog } from "../ui/form.js";
import { attempt, confirm, toast } from "../ui/overlays.js";
import { Members, Transfer } from "./members.js";
import { ChangeQuotas, Quotas } from "./quotas.js";

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
  const manages = ["owner", "admin"].includes(project.role);
  const works = project.role !== "viewer";
  return html`<${Head} title=${project.name} crumbs=${[["/projects", "Projects"]]} actions=${html`${manages && html`<${Button} onClick=${() => setEditing(true)}>Edit<//>`}${works && html`<${Button} kind="primary" icon="plus" onClick=${() => navigate(`/machines?create=1&project=${id}`)}>Create machine<//>`}`}>
      <p class="soft wrap-any">${project.description || `Since ${date(project.created_at)}`}</p>
    <//>
    <${Transfer} project=${project} />
    <div class="grid stats">
      <${Stat} label="Machines" icon="machine" value=${machines.length} note=${`${project.active_vm_count} running`} />
      <${Stat} label="Burn rate" icon="bolt" value=${html`${money(statistics?.running_cost_per_hour)} <small>per hour</small>`} />
      <${Stat} label="Cost so far" icon="billing" value=${money(project.total_cost)} />
    </div>
    <div class="grid lead">
      <${Card} title="Machines" pad=${false} actions=${html`<${Button} kind="bare little" href=${`/machines?project=${id}`}>In the list<//>`}>
        ${machines.length === 0
          ? html`<${Empty} icon="machine" title="No machines in this project" action=${works && html`<${Button} kind="primary" icon="plus" onClick=${() => navigate(`/machines?create=1&project=${id}`)}>Create machine<//>`} command=${curl("POST", "/vms", { name: "web-1", instance_type: "small", image: "debian-12", project_id: id })}>Whatever is started in it counts against its quotas, and its owner pays.<//>`
          : html`<ul class="lines">${machines.slice(0, 100).map((/** @type {any} */ vm) => html`<li key=${vm.id}><span class="grow"><a class="strong wrap-any" href=${link(`/machines/${vm.id}`)}>${vm.name}</a><br /><span class="small faint">${vm.instance_type} · ${vm.image} · ${vm.ip_address}</span></span><${MachineState} vm=${vm} /></li>`)}</ul>`}
      <//>
      <div class="stack">
        <${Members} project=${project} />
        <${Card} title="Quotas" actions=${isAdmin.value && html`<${ChangeQuotas} path=${path`/admin/projects/${id}/quotas`} />`}><${Quotas} path=${path`/projects/${id}/quotas`} /><//>
        ${project.role === "owner" && html`<${End} project=${project} />`}
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
  const does = async () => {
    await put(path`/projects/${project.id}`, { ...(name === project.name ? {} : { name }), description });
    toast("Saved", "good");
    void invalidate("/projects");
  };
  return html`<${FormDialog} title=${`Edit ${project.name}`} verb="Save" onClose=${onClose} does=${does} fields=${["name", "description"]}>
    ${(/** @type {any} */ error) => html`<${TextField} label="Name" autofocus value=${name} onInput=${setName} problem=${error?.of("name")} />
      <${TextField} label="Description" multiline value=${description} onInput=${setDescription} problem=${error?.of("description")} />`}
  <//>`;
}
