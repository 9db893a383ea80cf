// The small parts that screens are made of.
import { Icon } from "../core/icons.js";
import { dateTime, exactTime, money, relative } from "../core/format.js";
import { html, signal, useEffect, useId, useRef, useState } from "../core/view.js";
import { link } from "../core/router.js";
import { toast } from "./overlays.js";

const TICK_MS = 20_000;
/** Now, often enough for "3 minutes ago". */
export const now = signal(Date.now());
setInterval(() => {
  if (!document.hidden) now.value = Date.now();
}, TICK_MS);

/** @param {any} properties */
export function Button({ icon, children, kind = "", href, busy = false, label, type = "button", ...rest }) {
  const content = html`${icon && html`<${Icon} name=${busy ? "busy" : icon} />`}${children}`;
  const names = `button ${kind} ${children ? "" : "square"}`;
  if (href !== undefined) return html`<a class=${names} href=${link(href)} aria-label=${label} title=${children ? undefined : label} ...${rest}>${content}</a>`;
  return html`<button class=${names} type=${type} aria-label=${label} title=${children ? undefined : label} aria-busy=${busy || undefined} disabled=${busy || rest.disabled} ...${{ ...rest, disabled: busy || rest.disabled }}>${content}</button>`;
}

/** A label, its control, and what is wrong with it. The control is a function of the attributes that tie them. @param {any} properties */
export function Field({ label, hint, problem, children }) {
  const id = useId();
  const described = [hint && `${id}-hint`, problem && `${id}-problem`].filter(Boolean).join(" ");
  return html`<div class="field">
    <label for=${id}>${label}</label>
    ${children({ id, "aria-describedby": described || undefined, "aria-invalid": problem ? "true" : undefined })}
    ${hint && html`<div class="hint" id=${`${id}-hint`}>${hint}</div>`}
    ${problem && html`<div class="problem" id=${`${id}-problem`}><${Icon} name="alert" />${problem}</div>`}
  </div>`;
}

/** The usual field of one line. @param {any} properties */
export function TextField({ label, hint, problem, value, onInput, multiline = false, autofocus = false, ...rest }) {
  const tag = multiline ? "textarea" : "input";
  const control = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => {
    if (autofocus) control.current?.focus();
  }, []);
  return html`<${Field} label=${label} hint=${hint} problem=${problem}>
    ${(/** @type {any} */ ties) => html`<${tag} class="input" ref=${control} value=${value} onInput=${(/** @type {any} */ event) => onInput(event.currentTarget.value)} ...${ties} ...${rest} />`}
  <//>`;
}

/** @param {{label: string, hint?: string, problem?: string, value: string, onChange: (value: string) => void, options: [string, string][], hidden?: boolean, [rest: string]: any}} properties */
export function Select({ label, hint, problem, value, onChange, options, bare = false, ...rest }) {
  const control = (/** @type {any} */ ties) =>
    html`<select class="input" value=${value} onChange=${(/** @type {any} */ event) => onChange(event.currentTarget.value)} ...${ties} ...${rest}>
      ${options.map(([key, text]) => html`<option key=${key} value=${key} selected=${key === value}>${text}</option>`)}
    </select>`;
  if (bare) return control({ "aria-label": label });
  return html`<${Field} label=${label} hint=${hint} problem=${problem}>${control}<//>`;
}

/** @param {{label: any, checked: boolean, onChange: (checked: boolean) => void, hint?: string}} properties */
export const Check = ({ label, checked, onChange, hint }) => html`<label class="check">
  <input type="checkbox" checked=${checked} onChange=${(/** @type {any} */ event) => onChange(event.currentTarget.checked)} />
  <span>${label}${hint && html`<br /><span class="faint small">${hint}</span>`}</span>
</label>`;

/** @param {{kind?: string, icon?: string, busy?: boolean, children?: any}} properties */
export const Badge = ({ kind = "", icon = "dot", busy = false, children }) => html`<span class="badge ${kind} ${busy ? "busy" : ""}"><${Icon} name=${icon} />${children}</span>`;

/** @type {Record<string, [string, string, string?]>} */
const STATES = {
  running: ["good", "play"],
  stopped: ["", "stop"],
  creating: ["accent", "busy"],
  error: ["bad", "alert"],
  terminated: ["", "cross"],
  succeeded: ["good", "check"],
  failed: ["bad", "cross"],
  cancelled: ["", "minus"],
  pending: ["accent", "clock"],
  healthy: ["good", "check"],
  degraded: ["warn", "alert"],
  unhealthy: ["bad", "alert"],
  critical: ["bad", "alert"],
  warning: ["warn", "alert"],
  available: ["good", "check"],
  firing: ["bad", "bell"],
  resolved: ["good", "check"],
  ok: ["good", "check"],
  active: ["good", "check"],
  delivered: ["good", "check"],
};

/** A state in a shape, a colour and a word. @param {{state: string, label?: string}} properties */
export function State({ state, label }) {
  const [kind, icon] = STATES[state] ?? ["", "dot"];
  return html`<${Badge} kind=${kind} icon=${icon} busy=${icon === "busy"}>${label ?? state}<//>`;
}

/** @type {Record<string, string>} */
const REASONS = { credit: "credit ended", host: "host failed", user: "" };

/** What a machine does, and what is under way with it. @param {{vm: any}} properties */
export function MachineState({ vm }) {
  const operation = vm.active_operation;
  if (operation) {
    const verb = operation.kind.replace("vms.", "").replace("_", " ");
    return html`<span class="badge accent busy"><${Icon} name="busy" />${verb} <span class="number">${operation.progress} %</span></span>`;
  }
  const reason = vm.status === "stopped" ? REASONS[vm.stop_reason] : "";
  return html`<span class="row"><${State} state=${vm.status} />${reason && html`<span class="small warn">${reason}</span>`}</span>`;
}

/** @param {{at: string | null | undefined, plain?: boolean}} properties */
export function Time({ at, plain = false }) {
  if (!at) return html`<span class="faint">–</span>`;
  return html`<time datetime=${at} title=${exactTime(at)}>${plain ? dateTime(at) : relative(at, now.value)}</time>`;
}

/** An amount in a column: four digits, so that points stand below each other; all six on demand. @param {{amount: number, sign?: boolean}} properties */
export const Money = ({ amount, sign = false }) => html`<span class="number ${sign && amount > 0 ? "good" : ""}" title=${money(amount, { sign, digits: 6 })}>${money(amount, { sign, digits: 4, fixed: true })}</span>`;

/** @param {{value: number, max: number, label: string, warnAt?: number}} properties */
export function Meter({ value, max, label, warnAt = 0.8 }) {
  const share = max > 0 ? Math.min(1, value / max) : 0;
  const kind = warnAt > 1 ? "" : share >= 1 ? "bad" : share >= warnAt ? "warn" : "";
  return html`<span class="meter ${kind}" role="meter" aria-label=${label} aria-valuemin="0" aria-valuemax=${max} aria-valuenow=${Math.min(value, max)}><span style=${{ width: `${share * 100}%` }}></span></span>`;
}

/** @param {{lines?: number}} properties */
export const Bones = ({ lines = 4 }) => html`<div class="stack" role="status" aria-label="Loading">
  ${Array.from({ length: lines }, (_, index) => html`<span class="bone" style=${{ width: `${[92, 76, 84, 60, 70][index % 5]}%` }}></span>`)}
</div>`;

/** What there is, or why there is not. Shows `children(data)` as soon as there is something. @param {{of: any, lines?: number, children: (data: any) => any}} properties */
export function Loaded({ of: resource, lines = 4, children }) {
  if (resource.data !== undefined) return children(resource.data);
  if (resource.error !== null) return html`<${Trouble} error=${resource.error} again=${resource.reload} />`;
  return html`<div class="card-space"><${Bones} lines=${lines} /></div>`;
}

/** @param {{error: import("../core/api.js").ApiError, again?: () => void}} properties */
export const Trouble = ({ error, again }) => html`<div class="notice bad" role="alert">
  <${Icon} name="alert" />
  <div class="grow stack tight">
    <span>${error.message}</span>
    ${error.requestId && html`<span class="small faint">Request <code>${error.requestId}</code></span>`}
  </div>
  ${again && html`<${Button} kind="little" icon="refresh" onClick=${again}>Try again<//>`}
</div>`;

/** @param {{kind?: string, icon?: string, children: any}} properties */
export const Notice = ({ kind = "", icon = "info", children }) => html`<div class="notice ${kind}"><${Icon} name=${icon} /><div class="grow">${children}</div></div>`;

/** @param {{title?: any, actions?: any, children?: any, kind?: string, pad?: boolean, level?: string}} properties */
export const Card = ({ title, actions, children, kind = "", pad = true, level = "h2" }) => html`<section class="card ${kind}">
  ${title && html`<header><${level}>${title}<//>${actions && html`<div class="row wrap">${actions}</div>`}</header>`}
  ${pad ? html`<div class="body">${children}</div>` : children}
</section>`;

/** @param {{label: any, value: any, note?: any, icon?: string, children?: any}} properties */
export const Stat = ({ label, value, note, icon, children }) => html`<div class="card stat">
  <span class="label">${icon && html`<${Icon} name=${icon} />`}${label}</span>
  <span class="value">${value}</span>
  ${note && html`<span class="note">${note}</span>`}
  ${children}
</div>`;

/** An empty place that says what belongs there, and how it gets there from here and from a terminal. @param {{icon: string, title: string, children?: any, action?: any, command?: string}} properties */
export const Empty = ({ icon, title, children, action, command }) => html`<div class="empty">
  <span class="art"><${Icon} name=${icon} /></span>
  <h2>${title}</h2>
  ${children && html`<p>${children}</p>`}
  ${action}
  ${command && html`<${Snippet} text=${command} />`}
</div>`;

/** @param {{text: string, label?: string}} properties */
export const Snippet = ({ text, label = "Copy the command" }) => html`<div class="snippet"><pre tabindex="0" aria-label="The same from a terminal">${text}</pre><${Copy} text=${text} label=${label} /></div>`;

/** @param {{text: string, label?: string}} properties */
export function Copy({ text, label = "Copy" }) {
  const [done, setDone] = useState(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setDone(true);
      setTimeout(() => setDone(false), 1600);
    } catch {
      toast("This browser does not let the page copy. Select the text instead.", "bad");
    }
  };
  return html`<${Button} kind="bare little square" icon=${done ? "check" : "copy"} label=${done ? "Copied" : label} onClick=${copy} />`;
}

/** The same request from a terminal. @param {string} method @param {string} path @param {unknown} [body] */
export function curl(method, path, body) {
  const lines = [`curl ${method === "GET" ? "" : `-X ${method} `}${location.origin}${document.body.dataset.root ?? ""}${path}`, `-H "Authorization: Bearer $TOKEN"`];
  if (body !== undefined) lines.push("-H 'Content-Type: application/json'", `-d '${JSON.stringify(body)}'`);
  return lines.join(" \\\n  ");
}

/** @param {{label: string, tabs: [string, string][], current: string}} properties */
export function Tabs({ label, tabs, current }) {
  const bar = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => {
    // Where there are more than fit, the one that is open is in sight.
    const [box, here] = [bar.current, /** @type {HTMLElement | null | undefined} */ (bar.current?.querySelector("[aria-current]"))];
    if (box && here) box.scrollLeft = here.offsetLeft - box.offsetLeft - (box.clientWidth - here.offsetWidth) / 2;
  }, [current]);
  return html`<nav class="tabs" aria-label=${label} ref=${bar}>
    ${tabs.map(([href, text]) => html`<a key=${href} href=${link(href)} aria-current=${href === current ? "page" : undefined}>${text}</a>`)}
  </nav>`;
}

/** @param {{label: string, options: [string, string][], value: string, onChange: (value: string) => void}} properties */
export const Segments = ({ label, options, value, onChange }) => html`<div class="segments" role="group" aria-label=${label}>
  ${options.map(([key, text]) => html`<button key=${key} type="button" aria-pressed=${key === value} onClick=${() => onChange(key)}>${text}</button>`)}
</div>`;

/** Title of a screen: also the document's, and where the focus goes when it opens. @param {{title: any, name?: string, crumbs?: [string, string][], actions?: any, children?: any}} properties */
export function Head({ title, name, crumbs, actions, children }) {
  const heading = useRef(/** @type {HTMLElement | null} */ (null));
  const text = name ?? (typeof title === "string" ? title : "");
  useEffect(() => {
    document.title = text ? `${text} · Zentry Cloud` : "Zentry Cloud";
  }, [text]);
  return html`<div class="screen-head">
    <div class="title">
      ${crumbs && html`<nav class="crumbs" aria-label="Where this is">${crumbs.map(([href, label]) => html`<a href=${link(href)}>${label}</a><span aria-hidden="true">/</span>`)}</nav>`}
      <h1 ref=${heading} tabindex="-1">${title}</h1>
      ${children}
    </div>
    ${actions && html`<div class="row wrap">${actions}</div>`}
  </div>`;
}

/** @param {{values: number[], label: string}} properties */
export function Spark({ values, label }) {
  if (values.length < 2) return html`<svg class="spark" role="img" aria-label=${`${label}: no history yet`}></svg>`;
  const most = Math.max(...values, 1e-9);
  const points = values.map((value, index) => `${((index / (values.length - 1)) * 100).toFixed(2)},${(30 - (Math.max(0, value) / most) * 27).toFixed(2)}`);
  const line = `M${points.join("L")}`;
  return html`<svg class="spark" viewBox="0 0 100 32" preserveAspectRatio="none" role="img" aria-label=${label}>
    <path class="area" d=${`${line}L100,32L0,32Z`} /><path d=${line} />
  </svg>`;
}
