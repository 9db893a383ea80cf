// Forms of alerting: a policy, and a silence.
import { path, patch, post } from "../core/api.js";
import { invalidate, useResource } from "../core/resource.js";
import { FIGURES } from "../core/series.js";
import { html, useState } from "../core/view.js";
import { Check, Segments, Select, TextField } from "../ui/basics.js";
import { FormDialog } from "../ui/form.js";
import { toast } from "../ui/overlays.js";

const MINUTE = 60;
const HOUR_MS = 3_600_000;
const SOURCES = /** @type {[string, string][]} */ ([["metric", "A figure"], ["event", "Events"], ["billing", "Money"]]);
/** @type {Record<string, string>} */
const MONEY = { available_credits: "Free credit", hourly_cost: "Cost per hour", spent_today: "Spent today", spent_this_month: "Spent this month", hours_left: "Hours that the credit lasts" };
/** @type {Record<string, [string, string][]>} */
const CONDITIONS = {
  metric: [["threshold", "is beyond a threshold"], ["rate", "changes fast"], ["absence", "is absent"]],
  event: [["threshold", "happen too often or too seldom"], ["rate", "happen ever more often"], ["absence", "do not happen"]],
  billing: [["threshold", "is beyond a threshold"]],
};
const SCOPES = /** @type {[string, string][]} */ ([["", "everything"], ["vm_id", "one machine"], ["project_id", "one project"], ["label_selector", "a label"]]);
const OF_PARTS = new Set(["hourly_cost", "spent_today"]);
const LENGTHS = /** @type {[string, string][]} */ ([["1", "1 hour"], ["4", "4 hours"], ["24", "a day"], ["168", "a week"]]);
const FIELDS = ["name", "subject", "threshold", "clear_threshold", "label_selector"];

/** @param {string} source @param {string} subject */
export const subjectText = (source, subject) => (source === "metric" ? FIGURES[subject] : source === "billing" ? MONEY[subject] : "") ?? subject;

/** Whether one machine, project or label has it as well. @param {any} form */
const isOfParts = (form) => form.source !== "billing" || OF_PARTS.has(form.subject);

/** @param {any} policy */
const formOf = (policy) => ({
  name: policy?.name ?? "",
  source: policy?.source ?? "metric",
  subject: policy?.subject ?? "cpu_usage",
  condition: policy?.condition ?? "threshold",
  comparison: policy?.comparison ?? "above",
  threshold: String(policy?.threshold ?? "90"),
  clear: policy && policy.clear_threshold !== policy.threshold ? String(policy.clear_threshold) : "",
  aggregation: policy?.aggregation ?? "average",
  window: String((policy?.window_seconds ?? 300) / MINUTE),
  fire: String((policy?.fire_after_seconds ?? 600) / MINUTE),
  resolve: String((policy?.resolve_after_seconds ?? 0) / MINUTE),
  critical: policy?.severity === "critical",
  mail: policy?.notify_mail ?? false,
  scope: "",
  value: "",
});

/** @param {{policy: any, onClose: () => void}} properties - null makes a new one */
export function SetPolicy({ policy, onClose }) {
  const [form, setForm] = useState(formOf(policy));
  const set = (/** @type {string} */ name) => (/** @type {any} */ value) => setForm((before) => ({ ...before, [name]: value, ...(name === "source" ? { subject: { metric: "cpu_usage", billing: "available_credits" }[/** @type {"metric"} */ (value)] ?? "vm.stopped", condition: "threshold", scope: "" } : {}) }));
  const isAbsence = form.condition === "absence";
  const does = async () => {
    const level = isAbsence ? {} : { threshold: Number(form.threshold), ...(form.condition === "threshold" ? { clear_threshold: Number(form.clear.trim() || form.threshold) } : {}) };
    const wish = { name: form.name.trim(), severity: form.critical ? "critical" : "warning", notify_mail: form.mail, ...level, window_seconds: Math.round(Number(form.window) * MINUTE), fire_after_seconds: Math.round(Number(form.fire) * MINUTE), resolve_after_seconds: Math.round(Number(form.resolve) * MINUTE) };
    if (policy) await patch(path`/alerts/policies/${policy.id}`, wish);
    else await post("/alerts/policies", { ...wish, source: form.source, subject: form.subject.trim(), condition: form.condition, ...(isAbsence ? {} : { comparison: form.comparison }), ...(form.source === "metric" ? { aggregation: form.aggregation } : {}), ...(form.scope && isOfParts(form) ? { [form.scope]: form.value } : {}) });
    toast(`${form.name} is watched from now on`, "good");
    void invalidate("/alerts");
  };
  return html`<${FormDialog} title=${policy ? `Change ${policy.name}` : "Add a policy"} verb=${policy ? "Save" : "Add policy"} large onClose=${onClose} does=${does} fields=${FIELDS}>
    ${(/** @type {any} */ error) => html`<${TextField} label="Name" autofocus autocomplete="off" placeholder="CPU is busy" value=${form.name} onInput=${set("name")} problem=${error?.of("name")} />
      ${!policy && html`<${Subject} form=${form} set=${set} error=${error} />`}
      ${!isAbsence &&
      html`<div class="grid">
        ${!policy && form.condition === "threshold" && html`<${Select} label="It fires when it is" value=${form.comparison} onChange=${set("comparison")} options=${[["above", "above"], ["below", "below"]]} />`}
        <${TextField} label=${form.condition === "rate" ? "More than this, a minute" : "Threshold"} inputmode="decimal" value=${form.threshold} onInput=${set("threshold")} problem=${error?.of("threshold")} />
        ${form.condition === "threshold" && html`<${TextField} label="Well again at" hint="Empty: at the threshold" inputmode="decimal" value=${form.clear} onInput=${set("clear")} problem=${error?.of("clear_threshold")} />`}
      </div>`}
      <div class="grid">
        <${TextField} label="Over minutes" inputmode="decimal" value=${form.window} onInput=${set("window")} problem=${error?.of("window_seconds")} />
        <${TextField} label="Fires after minutes" inputmode="decimal" value=${form.fire} onInput=${set("fire")} problem=${error?.of("fire_after_seconds")} />
        <${TextField} label="Resolved after minutes" inputmode="decimal" value=${form.resolve} onInput=${set("resolve")} problem=${error?.of("resolve_after_seconds")} />
      </div>
      ${!policy && isOfParts(form) && html`<${Scope} form=${form} set=${set} error=${error} />`}
      <${Check} label="It is critical" hint="Look at once, not just soon." checked=${form.critical} onChange=${set("critical")} />
      <${Check} label="Tell me by mail" hint="Beside the console, the events and the webhooks." checked=${form.mail} onChange=${set("mail")} />`}
  <//>`;
}

/** What is looked at. @param {{form: any, set: (name: string) => (value: any) => void, error: any}} properties */
const Subject = ({ form, set, error }) => html`<div class="stack tight"><span class="field-label">It watches</span><div><${Segments} label="What it watches" options=${SOURCES} value=${form.source} onChange=${set("source")} /></div></div>
  <div class="grid">
    ${form.source === "event"
      ? html`<${TextField} label="Kind of event" autocomplete="off" spellcheck="false" value=${form.subject} onInput=${set("subject")} problem=${error?.of("subject")} />`
      : html`<${Select} label=${form.source === "metric" ? "Figure" : "Money"} value=${form.subject} onChange=${set("subject")} options=${Object.entries(form.source === "metric" ? FIGURES : MONEY)} />`}
    <${Select} label="That" value=${form.condition} onChange=${set("condition")} options=${CONDITIONS[form.source]} />
    ${form.source === "metric" && html`<${Select} label="Of each window, the" value=${form.aggregation} onChange=${set("aggregation")} options=${[["average", "average"], ["peak", "peak"]]} />`}
  </div>`;

/** @param {{form: any, set: (name: string) => (value: any) => void, error: any}} properties */
function Scope({ form, set, error }) {
  const machines = useResource("/monitoring/dashboard").data?.vm_summary ?? [];
  const projects = useResource("/projects").data ?? [];
  const options = form.scope === "vm_id" ? machines.slice(0, 500).map((/** @type {any} */ vm) => [vm.vm_id, vm.name]) : projects.map((/** @type {any} */ one) => [one.id, one.name]);
  return html`<div class="grid">
    <${Select} label="Of" value=${form.scope} onChange=${(/** @type {string} */ scope) => { set("scope")(scope); set("value")(scope === "vm_id" ? machines[0]?.vm_id ?? "" : scope === "project_id" ? projects[0]?.id ?? "" : ""); }} options=${SCOPES} />
    ${form.scope === "label_selector" && html`<${TextField} label="Label" placeholder="env=prod" value=${form.value} onInput=${set("value")} problem=${error?.of("label_selector")} />`}
    ${["vm_id", "project_id"].includes(form.scope) && html`<${Select} label="Which" value=${form.value} onChange=${set("value")} options=${options} />`}
  </div>`;
}

/** @param {{policies: any[], about: {policy_id?: string, vm_id?: string}, onClose: () => void}} properties */
export function SetSilence({ policies, about, onClose }) {
  const machines = useResource("/monitoring/dashboard").data?.vm_summary ?? [];
  const [policy, setPolicy] = useState(about.policy_id ?? "");
  const [vm, setVm] = useState(about.vm_id ?? "");
  const [hours, setHours] = useState("1");
  const [comment, setComment] = useState("");
  const does = async () => {
    await post("/alerts/silences", { ...(policy ? { policy_id: policy } : {}), ...(vm ? { vm_id: vm } : {}), ends_at: new Date(Date.now() + Number(hours) * HOUR_MS).toISOString(), comment });
    toast("It is held back from now on", "good");
    void invalidate("/alerts");
  };
  return html`<${FormDialog} title="Hold back what would be told" verb="Silence" onClose=${onClose} does=${does} fields=${["comment"]}>
    ${(/** @type {any} */ error) => html`<${Select} label="Of" value=${policy} onChange=${setPolicy} options=${[["", "every policy"], ...policies.map((one) => [one.id, one.name])]} />
      <${Select} label="About" value=${vm} onChange=${setVm} options=${[["", "everything"], ...machines.slice(0, 500).map((/** @type {any} */ one) => [one.vm_id, one.name])]} />
      <${Select} label="For" value=${hours} onChange=${setHours} options=${LENGTHS} />
      <${TextField} label="Why" value=${comment} onInput=${setComment} problem=${error?.of("comment")} />`}
  <//>`;
}
