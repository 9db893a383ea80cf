// Start, stop, restart, delete: asked the same way wherever a machine is shown.
import { act, each, verbs } from "../core/fleet.js";
import { plural } from "../core/format.js";
import { link } from "../core/router.js";
import { html, render, useState } from "../core/view.js";
import { TextField } from "../ui/basics.js";
import { attempt, confirm, Dialog, Menu, toast } from "../ui/overlays.js";

/** @typedef {import("../core/fleet.js").Machine} Machine */
/** @typedef {import("../core/fleet.js").Verb} Verb */

/** @type {Record<Verb, {icon: string, label: string, done: string}>} */
export const VERBS = {
  start: { icon: "play", label: "Start", done: "is starting" },
  stop: { icon: "stop", label: "Stop", done: "is stopping" },
  restart: { icon: "restart", label: "Restart", done: "is restarting" },
  delete: { icon: "trash", label: "Delete", done: "is deleted" },
};

/** Ask, where it cannot be taken back, and do it. @param {Machine} vm @param {Verb} verb @returns {Promise<boolean>} */
export async function actOne(vm, verb) {
  if (verb === "delete") {
    const text = html`<p>The machine, its disk and its address <strong class="wrap-any">${vm.ip_address ?? ""}</strong> are gone for good. Billing ends at once; snapshots stay.</p>`;
    if (!(await confirm({ title: `Delete ${vm.name}?`, text, verb: "Delete machine", typed: vm.name }))) return false;
  }
  const done = await attempt(async () => {
    await act(vm, verb);
    return true;
  });
  if (done && verb === "delete") toast(`${vm.name} is deleted`, "good");
  return done === true;
}

/** @param {Machine[]} chosen @param {Verb} verb @returns {Promise<boolean>} */
export async function actMany(chosen, verb) {
  const able = chosen.filter((vm) => verbs(vm).includes(verb));
  if (able.length === 0) {
    toast(`None of the chosen machines can ${verb} now.`);
    return false;
  }
  if (verb === "delete") {
    const text = html`<p>Their disks and addresses are gone for good:</p><ul class="wrap-any">${able.slice(0, 8).map((vm) => html`<li>${vm.name}</li>`)}${able.length > 8 && html`<li>and ${able.length - 8} more</li>`}</ul>`;
    if (!(await confirm({ title: `Delete ${plural(able.length, "machine")}?`, text, verb: "Delete all", typed: `delete ${able.length}` }))) return false;
  }
  const refused = await each(able, (vm) => act(vm, verb));
  if (refused.length > 0) toast(`${plural(refused.length, "machine")} refused. ${refused[0].vm.name}: ${refused[0].error.message}`, "bad");
  if (refused.length < able.length) toast(`${VERBS[verb].label}: ${plural(able.length - refused.length, "machine")}`, "good");
  return true;
}

/** @param {{vm: Machine}} properties */
export function MachineMenu({ vm }) {
  const items = () => {
    const able = verbs(vm);
    return [
      { icon: "machine", label: "Open", href: link(`/machines/${vm.id}`) },
      ...able.filter((verb) => verb !== "delete").map((verb) => ({ ...VERBS[verb], does: () => void actOne(vm, verb) })),
      ...(able.includes("delete") ? [null, { icon: "trash", label: "Delete", danger: true, does: () => void actOne(vm, "delete") }] : []),
    ];
  };
  return html`<${Menu} label=${`Actions for ${vm.name}`} items=${items} kind="bare little" />`;
}

/** Ask for labels in a dialog of its own. @returns {Promise<Record<string, string> | null>} */
export function askLabels() {
  const box = document.body.appendChild(document.createElement("div"));
  return new Promise((resolve) => {
    const answer = (/** @type {Record<string, string> | null} */ labels) => {
      render(null, box);
      box.remove();
      resolve(labels);
    };
    render(html`<${AskLabels} answer=${answer} />`, box);
  });
}

/** @param {{answer: (labels: Record<string, string> | null) => void}} properties */
function AskLabels({ answer }) {
  const [text, setText] = useState("");
  const labels = parseLabels(text);
  return html`<${Dialog} title="Add labels" onClose=${() => answer(null)} onSubmit=${() => labels && answer(labels)}
    foot=${html`<button type="button" class="button" onClick=${() => answer(null)}>Cancel</button><button type="submit" class="button primary" disabled=${!labels || Object.keys(labels).length === 0}>Add</button>`}>
    <${TextField} label="Labels" hint="name=value, several with commas between them" placeholder="env=test, tier=web" value=${text} onInput=${setText} problem=${labels === null ? "Write each label as name=value." : ""} />
  <//>`;
}

/** "env=test, tier=web" as labels; null when it is not written that way. @param {string} text @returns {Record<string, string> | null} */
export function parseLabels(text) {
  /** @type {Record<string, string>} */
  const labels = {};
  for (const part of text.split(",").map((piece) => piece.trim()).filter(Boolean)) {
    const [name, value, ...more] = part.split("=").map((piece) => piece.trim());
    if (!name || more.length > 0) return null;
    labels[name] = value ?? "";
  }
  return labels;
}

/** @param {Record<string, string>} labels */
export const labelText = (labels) => Object.entries(labels).map(([name, value]) => (value ? `${name}=${value}` : name)).join(", ");
