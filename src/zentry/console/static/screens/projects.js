// Projects: what machines belong to, and what share of the quotas they use.
import { ApiError, post } from "../core/api.js";
import { date, money, plural } from "../core/format.js";
import { invalidate, useResource } from "../core/resource.js";
import { link, navigate, place, setQuery } from "../core/router.js";
import { html, useState } from "../core/view.js";
import { Button, Card, curl, Empty, Head, Loaded, TextField } from "../ui/basics.js";
import { Dialog, toast } from "../ui/overlays.js";
import { Quotas } from "./quotas.js";

export default function Projects() {
  const found = useResource("/projects", { every: 15 });
  const creating = place.value.query.get("create") === "1";
  const open = () => setQuery({ create: "1" });
  return html`<${Head} title="Projects" actions=${html`<${Button} kind="primary" icon="plus" onClick=${open}>Create project<//>`}><p class="soft">A project holds machines, has quotas of its own, and shows what it costs.</p><//>
    <${Card} pad=${false}>
      <${Loaded} of=${found} lines=${5}>
        ${(/** @type {any[]} */ projects) =>
          projects.length === 0
            ? html`<${Empty} icon="project" title="No projects yet" action=${html`<${Button} kind="primary" icon="plus" onClick=${open}>Create project<//>`} command=${curl("POST", "/projects", { name: "shop" })}>Machines belong to a project. Make one for everything that comes and goes together.<//>`
            : html`<div class="table-wrap"><table class="table folds">
                <thead><tr><th scope="col">Name</th><th scope="col">Machines</th><th scope="col" class="number">Cost so far</th><th scope="col" class="hide-phone">Created</th></tr></thead>
                <tbody>
                  ${projects.map(
                    (project) => html`<tr key=${project.id}>
                      <td><a class="strong wrap-any" href=${link(`/projects/${project.id}`)}>${project.name}</a><br /><span class="small faint wrap-any">${project.description}</span></td>
                      <td class="number-left">${plural(project.vm_count, "machine")}${project.active_vm_count > 0 && html` <span class="small good">${project.active_vm_count} running</span>`}</td>
                      <td class="number">${money(project.total_cost)}</td>
                      <td class="hide-phone faint">${date(project.created_at)}</td>
                    </tr>`,
                  )}
                </tbody>
              </table></div>`}
      <//>
    <//>
    <${Card} title="Quotas of the account"><${Quotas} path="/quotas" /><//>
    ${creating && html`<${CreateProject} onClose=${() => setQuery({ create: null })} />`}`;
}

/** @param {{onClose: () => void}} properties */
function CreateProject({ onClose }) {
  const [name, setName] = useState("");
  const [description, setDescription] = useState("");
  const [error, setError] = useState(/** @type {ApiError | null} */ (null));
  const go = async () => {
    try {
      const project = await post("/projects", { name: name.trim(), description });
      void invalidate("/projects", "/quotas");
      toast(`The project ${project.name} is there`, "good");
      navigate(`/projects/${project.id}`);
    } catch (failure) {
      if (!(failure instanceof ApiError)) throw failure;
      setError(failure);
    }
  };
  return html`<${Dialog} title="Create a project" onClose=${onClose} onSubmit=${go} foot=${html`<${Button} onClick=${onClose}>Cancel<//><${Button} type="submit" kind="primary">Create project<//>`}>
    <${TextField} label="Name" autofocus autocomplete="off" required value=${name} onInput=${setName} problem=${error && (error.of("name") || error.message)} />
    <${TextField} label="Description" multiline value=${description} onInput=${setDescription} problem=${error?.of("description")} />
  <//>`;
}
