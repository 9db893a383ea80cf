// What one wants to be told of: policies, what fires now, what is held back, and every change.
import { address, path, patch, post, remove } from "../core/api.js";
import { dateTime, number, plural, words } from "../core/format.js";
import { invalidate, useResource } from "../core/resource.js";
import { link } from "../core/router.js";
import { html, useState } from "../core/view.js";
import { Badge, Button, Card, curl, Empty, Loaded, State, Time } from "../ui/basics.js";
import { attempt, confirm, Menu } from "../ui/overlays.js";
import { SetPolicy, SetSilence, subjectText } from "./alert-forms.js";
import { useNames } from "./happenings.js";

const PAGE = 25;
const MOST = 200;
const EXAMPLE = { name: "CPU is busy", source: "metric", subject: "cpu_usage", threshold: 90, clear_threshold: 80, fire_after_seconds: 600 };

/** Read again what an action has changed. */
const again = () => invalidate("/alerts");

export function Alerts() {
  const policies = useResource("/alerts/policies", { every: 30 });
  const [form, setForm] = useState(/** @type {any} */ (null));
  const close = () => setForm(null);
  const silence = (/** @type {any} */ about) => setForm({ kind: "silence", about });
  return html`<${Now} silence=${silence} />
    <${Policies} found=${policies} make=${() => setForm({ kind: "policy", policy: null })} change=${(/** @type {any} */ policy) => setForm({ kind: "policy", policy })} silence=${silence} />
    <div class="grid two"><${Silences} policies=${policies.data ?? []} make=${() => silence({})} /><${History} policies=${policies.data ?? []} /></div>
    ${form?.kind === "policy" && html`<${SetPolicy} policy=${form.policy} onClose=${close} />`}
    ${form?.kind === "silence" && html`<${SetSilence} policies=${policies.data ?? []} about=${form.about} onClose=${close} />`}`;
}

/** @param {{id: string, names: Map<string, string>}} properties */
const Target = ({ id, names }) => (names.has(id) ? html`<a class="wrap-any" href=${link(`/machines/${id}`)}>${names.get(id)}</a>` : html`<span class="faint">the account</span>`);

/** @param {{silence: (about: any) => void}} properties */
function Now({ silence }) {
  const found = useResource("/alerts", { every: 10 });
  const names = useNames();
  return html`<${Card} title="Now" pad=${false}>
    <${Loaded} of=${found} lines=${2}>
      ${(/** @type {any[]} */ alerts) =>
        alerts.length === 0
          ? html`<${Empty} icon="check" title="Nothing fires" command=${curl("GET", "/alerts")}>What is pending or fires shows here, and is told as the events alert.firing and alert.resolved.<//>`
          : html`<ul class="lines">${alerts.map((alert) => html`<li key=${`${alert.policy_id}${alert.target_id}`}>
              <${State} state=${alert.state} /><span class="grow"><span class="strong wrap-any">${alert.policy_name}</span> <${Target} id=${alert.target_id} names=${names} /><br /><span class="small faint">since <${Time} at=${alert.since} />${alert.value !== null && `, last ${number(alert.value, 2)}`}</span></span>
              ${alert.is_silenced ? html`<${Badge} icon="bell">silenced<//>` : html`<${Button} kind="little" onClick=${() => silence({ policy_id: alert.policy_id, vm_id: names.has(alert.target_id) ? alert.target_id : "" })}>Silence<//>`}
            </li>`)}</ul>`}
    <//>
  <//>`;
}

/** @param {{found: any, make: () => void, change: (policy: any) => void, silence: (about: any) => void}} properties */
function Policies({ found, make, change, silence }) {
  const names = useNames();
  const button = html`<${Button} kind="primary" icon="plus" onClick=${make}>Add policy<//>`;
  const turn = async (/** @type {any} */ policy) => {
    await attempt(() => patch(path`/alerts/policies/${policy.id}`, { enabled: !policy.enabled }), `${policy.name} is ${policy.enabled ? "off" : "on"}`);
    await again();
  };
  const test = async (/** @type {any} */ policy) => {
    await attempt(() => post(path`/alerts/policies/${policy.id}/test`), `alert.test was sent for ${policy.name}`);
    await invalidate("/alerts", "/events");
  };
  const drop = async (/** @type {any} */ policy) => {
    if (!(await confirm({ title: `Delete ${policy.name}?`, text: "What fires by it is over, and its past goes with it.", verb: "Delete policy", typed: policy.name }))) return;
    await attempt(() => remove(path`/alerts/policies/${policy.id}`), "The policy is deleted");
    await again();
  };
  return html`<${Card} title="Policies" pad=${false} actions=${found.data?.length > 0 && button}>
    <${Loaded} of=${found}>
      ${(/** @type {any[]} */ policies) =>
        policies.length === 0
          ? html`<${Empty} icon="bell" title="No policies" action=${button} command=${curl("POST", "/alerts/policies", EXAMPLE)}>A policy watches a figure, an event or your money, and tells you when it is beyond what you allow: by events, and by webhooks that listen to them.<//>`
          : html`<ul class="lines">${policies.map((policy) => html`<li key=${policy.id}>
              <${State} state=${policy.severity} />
              <span class="grow"><span class="strong wrap-any">${policy.name}</span> ${!policy.enabled && html`<${Badge} icon="minus">off<//>`}<br /><span class="small faint wrap-any">${sentence(policy, names)}</span></span>
              <${Menu} label=${`Actions for ${policy.name}`} items=${[
                { icon: "settings", label: "Change", does: () => change(policy) },
                { icon: "bolt", label: "Fire a test", does: () => void test(policy) },
                { icon: "bell", label: "Silence", does: () => silence({ policy_id: policy.id }) },
                { icon: policy.enabled ? "minus" : "check", label: policy.enabled ? "Turn off" : "Turn on", does: () => void turn(policy) },
                null,
                { icon: "trash", label: "Delete", danger: true, does: () => void drop(policy) },
              ]} />
            </li>`)}</ul>`}
    <//>
  <//>`;
}

/** A policy in words. @param {any} policy @param {Map<string, string>} names */
function sentence(policy, names) {
  const what = subjectText(policy.source, policy.subject);
  const where = policy.vm_id ? ` of ${names.get(policy.vm_id) ?? "a machine"}` : policy.project_id ? ` in ${names.get(policy.project_id) ?? "a project"}` : policy.label_selector ? ` where ${policy.label_selector}` : "";
  const how = { threshold: `is ${policy.comparison} ${number(policy.threshold, 4)}`, rate: `changes by more than ${number(policy.threshold, 4)} a minute`, absence: "is absent" }[/** @type {"threshold"} */ (policy.condition)];
  const long = policy.fire_after_seconds > 0 ? ` for ${plural(Math.round(policy.fire_after_seconds / 60), "minute")}` : "";
  return `${what}${where} ${how}${long}, over ${plural(Math.round(policy.window_seconds / 60), "minute")}`;
}

/** @param {{policies: any[], make: () => void}} properties */
function Silences({ policies, make }) {
  const found = useResource("/alerts/silences", { every: 30 });
  const names = useNames();
  const end = async (/** @type {any} */ silence) => {
    await attempt(() => remove(path`/alerts/silences/${silence.id}`), "It is told again from now on");
    await again();
  };
  return html`<${Card} title="Silences" pad=${false} actions=${html`<${Button} kind="little" icon="plus" onClick=${make}>Silence<//>`}>
    <${Loaded} of=${found} lines=${2}>
      ${(/** @type {any[]} */ silences) =>
        silences.length === 0
          ? html`<${Empty} icon="bell" title="Nothing is held back">During maintenance, hold back what would be told. What still fires when it is over is told then.<//>`
          : html`<ul class="lines">${silences.map((one) => html`<li key=${one.id}><span class="grow"><span class="wrap-any">${[one.policy_id && (policies.find((policy) => policy.id === one.policy_id)?.name ?? "a policy"), one.vm_id && (names.get(one.vm_id) ?? "a machine")].filter(Boolean).join(", ") || "Everything"}</span><br /><span class="small faint wrap-any">${one.comment && `${one.comment} · `}until ${dateTime(one.ends_at)}</span></span><${Button} kind="little" onClick=${() => end(one)}>End<//></li>`)}</ul>`}
    <//>
  <//>`;
}

/** @param {{policies: any[]}} properties */
function History({ policies }) {
  const [limit, setLimit] = useState(PAGE);
  const names = useNames();
  const found = useResource(address("/alerts/history", { limit }).slice((document.body.dataset.root ?? "").length), { every: 20 });
  return html`<${Card} title="What has changed" pad=${false}>
    <${Loaded} of=${found} lines=${4}>
      ${(/** @type {any} */ data) =>
        data.changes.length === 0
          ? html`<${Empty} icon="clock" title="No alert yet">Each change of an alert is kept for 90 days. Fire a test to see one.<//>`
          : html`<ul class="lines">${data.changes.map((/** @type {any} */ one) => html`<li key=${one.id}>
              <${State} state=${one.state} /><span class="grow"><span class="wrap-any">${policies.find((policy) => policy.id === one.policy_id)?.name ?? "A policy that is gone"}</span> <span class="small"><${Target} id=${one.target_id} names=${names} /></span>
                <br /><span class="small faint">${[one.is_test ? "a test" : `was ${words(one.previous).toLowerCase()}`, one.value !== null && number(one.value, 2), one.is_silenced && "silenced"].filter(Boolean).join(", ")}</span></span><span class="faint small"><${Time} at=${one.at} /></span>
            </li>`)}</ul>
            ${data.next_cursor && limit < MOST && html`<footer class="row end"><${Button} kind="little" onClick=${() => setLimit(MOST)}>Older<//></footer>`}`}
    <//>
  <//>`;
}
