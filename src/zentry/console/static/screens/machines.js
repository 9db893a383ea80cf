// All machines: found, sorted, chosen and acted upon, ten or ten thousand of them.
import { wordsOf } from "../core/fleet-words.js";
import { number, plural } from "../core/format.js";
import { each, machines, pages, readFleet, total, trouble } from "../core/fleet.js";
import { patch, path } from "../core/api.js";
import { Icon } from "../core/icons.js";
import { pace } from "../core/live.js";
import { place, setQuery } from "../core/router.js";
import { html, useEffect, useMemo, useRef, useState } from "../core/view.js";
import { Bones, Button, Card, curl, Empty, Head, Select, Trouble } from "../ui/basics.js";
import { attempt, toast } from "../ui/overlays.js";
import { Create } from "./create.js";
import { actMany, askLabels } from "./machine-actions.js";
import { inOrder, Rows } from "./machine-rows.js";

const EVERY_SECONDS = 5;
const EVERY_SECONDS_MANY = 20;
const SHOWN_STATES = [["", "All states"], ["running", "Running"], ["stopped", "Stopped"], ["creating", "Creating"], ["error", "Error"], ["terminated", "Terminated"]];

export default function Machines() {
  const query = place.value.query;
  const [chosen, setChosen] = useState(/** @type {ReadonlySet<string>} */ (new Set()));
  useEffect(() => {
    void readFleet();
    let at = Date.now();
    const timer = setInterval(() => {
      const seconds = pages.value > 1 ? EVERY_SECONDS_MANY : EVERY_SECONDS;
      if (document.hidden || Date.now() - at < pace(seconds) * 1000) return;
      at = Date.now();
      void readFleet({ firstOnly: pages.value > 1 });
    }, 1000);
    return () => clearInterval(timer);
  }, []);
  const found = useFound(query);
  const all = machines.value;
  const selected = useMemo(() => (all ?? []).filter((vm) => chosen.has(vm.id)), [all, chosen]);
  const creating = query.get("create") === "1";
  const openCreate = () => setQuery({ create: "1" });
  const live = (all ?? []).filter((vm) => vm.status !== "terminated").length;
  return html`<${Head} title="Machines" actions=${html`<${Button} kind="primary" icon="plus" onClick=${openCreate}>Create machine<//>`}>
      <p class="soft" role="status">${all === undefined ? "Loading" : summary(found.length, live, query)}${pages.value === 0 && all && all.length < total.value ? `, ${number(all.length)} of ${number(total.value)} loaded` : ""}</p>
    <//>
    <${Card} pad=${false}>
      <div class="toolbar">${selected.length > 0 ? html`<${Bulk} selected=${selected} clear=${() => setChosen(new Set())} />` : html`<${Filters} query=${query} all=${all ?? []} />`}</div>
      ${trouble.value && html`<div class="body"><${Trouble} error=${trouble.value} again=${() => void readFleet()} /></div>`}
      ${all === undefined && !trouble.value && html`<div class="body"><${Bones} lines=${8} /></div>`}
      ${all !== undefined &&
      (found.length > 0
        ? html`<${Rows} rows=${found} chosen=${chosen} choose=${setChosen} sort=${query.get("sort") ?? "name"} onSort=${sortBy} />`
        : live === 0 && !isFiltered(query)
          ? html`<${Empty} icon="machine" title="No machines yet" action=${html`<${Button} kind="primary" icon="plus" onClick=${openCreate}>Create machine<//>`} command=${curl("POST", "/vms", { name: "web-1", instance_type: "small", image: "debian-12", project_id: "$PROJECT" })}>
              It boots in seconds, and it is billed by the second from its first running instant.<//>`
          : html`<${Empty} icon="filter" title="No machine fits the filter" action=${html`<${Button} onClick=${() => setQuery({ q: null, state: null, project: null, label: null })}>Show all<//>`} />`)}
    <//>
    ${creating && html`<${Create} onClose=${() => setQuery({ create: null })} />`}`;
}

/** @param {URLSearchParams} query */
const isFiltered = (query) => ["q", "state", "project", "label"].some((name) => query.get(name));

/** @param {number} found @param {number} live @param {URLSearchParams} query */
const summary = (found, live, query) => (isFiltered(query) ? `${number(found)} of ${plural(live, "machine")}` : plural(live, "machine"));

/** @param {string} column */
function sortBy(column) {
  const now = place.value.query.get("sort") ?? "name";
  setQuery({ sort: now === column ? `-${column}` : column });
}

/** The machines that the filter lets through, in their order. @param {URLSearchParams} query */
function useFound(query) {
  const all = machines.value ?? [];
  return useMemo(() => {
    const text = (query.get("q") ?? "").trim().toLowerCase();
    const state = query.get("state");
    const project = query.get("project");
    const label = query.get("label");
    const shown = all.filter(
      (vm) =>
        (state ? vm.status === state : vm.status !== "terminated") &&
        (!project || vm.project_id === project) &&
        (!label || Object.entries(vm.labels).some(([name, value]) => `${name}=${value}` === label)) &&
        (!text || wordsOf(vm).all.includes(text)),
    );
    return inOrder(shown, query.get("sort") ?? "name");
  }, [all, query.toString()]);
}

/** @param {{query: URLSearchParams, all: any[]}} properties */
function Filters({ query, all }) {
  const field = useRef(/** @type {HTMLInputElement | null} */ (null));
  const projects = useMemo(() => [...new Map(all.map((vm) => [vm.project_id, vm.project_name]))].sort((a, b) => a[1].localeCompare(b[1])), [all]);
  const labels = useMemo(() => [...new Set(all.flatMap((vm) => Object.entries(vm.labels).map(([name, value]) => `${name}=${value}`)))].sort().slice(0, 200), [all]);
  return html`<div class="search"><${Icon} name="search" /><input ref=${field} class="input" type="search" aria-label="Filter by name, address, image or label" placeholder="Filter by name, address, image, label" value=${query.get("q") ?? ""} onInput=${(/** @type {any} */ event) => setQuery({ q: event.currentTarget.value })} /></div>
    <${Select} bare label="State" value=${query.get("state") ?? ""} onChange=${(/** @type {string} */ state) => setQuery({ state })} options=${SHOWN_STATES} />
    ${projects.length > 1 && html`<${Select} bare label="Project" value=${query.get("project") ?? ""} onChange=${(/** @type {string} */ project) => setQuery({ project })} options=${[["", "All projects"], ...projects]} />`}
    ${labels.length > 0 && html`<${Select} bare label="Label" value=${query.get("label") ?? ""} onChange=${(/** @type {string} */ label) => setQuery({ label })} options=${[["", "All labels"], ...labels.map((label) => [label, label])]} />`}
    <span class="grow"></span>
    <${Button} kind="bare" icon="refresh" label="Read again" onClick=${() => void readFleet()} />`;
}

/** @param {{selected: any[], clear: () => void}} properties */
function Bulk({ selected, clear }) {
  const does = async (/** @type {"start" | "stop" | "restart" | "delete"} */ verb) => (await actMany(selected, verb)) && clear();
  const label = async () => {
    const change = await askLabels();
    if (change === null) return;
    const refused = await each(selected, async (vm) => patch(path`/vms/${vm.id}`, { labels: { ...vm.labels, ...change } }));
    if (refused.length > 0) toast(`${refused[0].vm.name}: ${refused[0].error.message}`, "bad");
    else toast(`Labelled ${plural(selected.length, "machine")}`, "good");
    await attempt(() => readFleet());
    clear();
  };
  return html`<div class="bulk" role="group" aria-label="Chosen machines">
    <span class="strong number">${plural(selected.length, "machine")} chosen</span>
    <${Button} icon="play" onClick=${() => does("start")}>Start<//>
    <${Button} icon="stop" onClick=${() => does("stop")}>Stop<//>
    <${Button} icon="restart" onClick=${() => does("restart")}>Restart<//>
    <${Button} icon="tag" onClick=${label}>Label<//>
    <${Button} kind="danger" icon="trash" onClick=${() => does("delete")}>Delete<//>
    <${Button} kind="bare" icon="cross" label="Choose none" onClick=${clear} />
  </div>`;
}
