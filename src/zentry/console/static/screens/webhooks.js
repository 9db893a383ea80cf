// Webhooks: where events are posted to, what became of each, and posting them again.
import { address, path, patch, post, remove } from "../core/api.js";
import { dateTime, number, plural, words } from "../core/format.js";
import { invalidate, useResource } from "../core/resource.js";
import { link, navigate, place, setQuery } from "../core/router.js";
import { html, useState } from "../core/view.js";
import { Button, Card, curl, Empty, Loaded, Notice, Select, State, TextField, Time } from "../ui/basics.js";
import { FormDialog } from "../ui/form.js";
import { attempt, confirm, Dialog, Menu, toast } from "../ui/overlays.js";
import { Secret } from "./sessions.js";

const PAGE = 25;
const MOST = 100;
const GOOD_FROM = 200;
const GOOD_TO = 299;
const STATUSES = /** @type {[string, string][]} */ ([["", "All"], ["pending", "Pending"], ["delivered", "Delivered"], ["dead", "Dead"]]);

/** @param {{id?: string}} properties */
export const Webhooks = ({ id }) => (id ? html`<${Webhook} id=${id} />` : html`<${List} />`);

/** "vm., credit.low" as a list. @param {string} text */
const kindsOf = (text) => text.split(",").map((part) => part.trim()).filter(Boolean);

function List() {
  const found = useResource("/webhooks", { every: 30 });
  const [making, setMaking] = useState(false);
  const [secret, setSecret] = useState(/** @type {any} */ (null));
  const add = html`<${Button} kind="primary" icon="plus" onClick=${() => setMaking(true)}>Add webhook<//>`;
  return html`<${Card} title="Webhooks" pad=${false} actions=${found.data?.length > 0 && add}>
      <${Loaded} of=${found}>
        ${(/** @type {any[]} */ hooks) =>
          hooks.length === 0
            ? html`<${Empty} icon="webhook" title="No webhooks" action=${add} command=${curl("POST", "/webhooks", { url: "https://hooks.example.com/zentry", kinds: ["vm.", "credit.low"] })}>Events are posted to an address of yours as they happen, signed, at least once, and in order for each machine.<//>`
            : html`<ul class="lines">${hooks.map((hook) => html`<li key=${hook.id}>
                <span class="mark"><${Dot} hook=${hook} /></span>
                <span class="grow"><a class="strong wrap-any" href=${link(`/settings/webhooks/${hook.id}`)}>${hook.url}</a><br /><span class="small faint wrap-any">${hook.kinds.length > 0 ? hook.kinds.join(", ") : "all events"}${hook.description && ` · ${hook.description}`}</span></span>
                <${Health} hook=${hook} />
              </li>`)}</ul>`}
      <//>
    <//>
    ${making && html`<${SetWebhook} hook=${null} onClose=${() => setMaking(false)} onMade=${setSecret} />`}
    ${secret && html`<${Secret} made=${secret} onClose=${() => setSecret(null)} />`}`;
}

/** @param {{hook: any}} properties */
const Health = ({ hook }) => (hook.status === "disabled" ? html`<${State} state="stopped" label="disabled" />` : hook.failing_since ? html`<${State} state="degraded" label="failing" />` : html`<${State} state="active" label="enabled" />`);

/** @param {{hook: any}} properties */
const Dot = ({ hook }) => html`<span aria-hidden="true">${hook.status === "disabled" ? "–" : hook.failing_since ? "!" : "✓"}</span>`;

/** @param {{id: string}} properties */
function Webhook({ id }) {
  const where = path`/webhooks/${id}`;
  const found = useResource(where, { every: 15 });
  const [form, setForm] = useState("");
  const [secret, setSecret] = useState(/** @type {any} */ (null));
  const hook = found.data;
  if (found.error?.status === 404) return html`<${Card}><${Empty} icon="webhook" title="There is no such webhook" action=${html`<${Button} href="/settings/webhooks">To your webhooks<//>`} /><//>`;
  const turn = async () => {
    await attempt(() => patch(where, { status: hook.status === "enabled" ? "disabled" : "enabled" }), hook.status === "enabled" ? "Nothing is posted until it is enabled again" : "It goes on");
    await invalidate("/webhooks");
  };
  const ping = async () => {
    await attempt(() => post(`${where}/ping`), "A ping is on its way; see its delivery below");
    await invalidate("/webhooks");
  };
  const rotate = async () => {
    if (!(await confirm({ title: "Make a new secret?", text: "For a day messages carry a signature of each, so that your receiver can change over.", verb: "Make it", danger: false }))) return;
    const made = await attempt(() => post(`${where}/rotate-secret`));
    if (made) setSecret({ name: "this webhook", secret: made.secret });
    await invalidate("/webhooks");
  };
  const drop = async () => {
    if (!(await confirm({ title: "Delete this webhook?", text: html`<p class="wrap-any">Nothing is posted to ${hook.url} any more, and the log of its deliveries is gone.</p>`, verb: "Delete webhook", typed: "delete" }))) return;
    if ((await attempt(() => remove(where), "The webhook is deleted")) === undefined) return;
    void invalidate("/webhooks");
    navigate("/settings/webhooks");
  };
  return html`<${Loaded} of=${found} lines=${6}>
      ${() => html`<${Card} title=${html`<span class="wrap-any">${hook.url}</span>`} actions=${html`<${Button} icon="bolt" onClick=${ping}>Send a ping<//><${Menu} label="More actions" kind="" items=${[{ icon: "settings", label: "Change", does: () => setForm("change") }, { icon: "key", label: "New secret", does: () => void rotate() }, { icon: hook.status === "enabled" ? "minus" : "check", label: hook.status === "enabled" ? "Disable" : "Enable", does: () => void turn() }, null, { icon: "trash", label: "Delete", danger: true, does: () => void drop() }]} />`}>
        <div class="stack">
          ${hook.disabled_reason && html`<${Notice} kind="warn" icon="alert">${hook.disabled_reason}<//>`}
          <dl class="facts">
            <dt>State</dt><dd><${Health} hook=${hook} /> ${hook.failing_since && html`<span class="small faint">failing since <${Time} at=${hook.failing_since} /></span>`}</dd>
            <dt>Events</dt><dd>${hook.kinds.length > 0 ? html`<span class="row wrap">${hook.kinds.map((/** @type {string} */ kind) => html`<span class="tag">${kind}</span>`)}</span>` : "all"}</dd>
            ${hook.description && html`<dt>Description</dt><dd>${hook.description}</dd>`}
            ${hook.old_secret_until && html`<dt>Old secret</dt><dd>signs as well until ${dateTime(hook.old_secret_until)}</dd>`}
            <dt>Since</dt><dd>${dateTime(hook.created_at)}</dd>
          </dl>
        </div>
      <//>`}
    <//>
    <${Deliveries} where=${where} />
    ${form === "change" && html`<${SetWebhook} hook=${hook} onClose=${() => setForm("")} />`}
    ${secret && html`<${Secret} made=${secret} onClose=${() => setSecret(null)} />`}`;
}

/** @param {{where: string}} properties */
function Deliveries({ where }) {
  const status = place.value.query.get("status") ?? "";
  const [limit, setLimit] = useState(PAGE);
  const [shown, setShown] = useState("");
  const found = useResource(address(`${where}/deliveries`, { status, limit }).slice((document.body.dataset.root ?? "").length), { every: 5 });
  return html`<${Card} title="Deliveries" pad=${false} actions=${html`<${Select} bare label="Status" value=${status} options=${STATUSES} onChange=${(/** @type {string} */ next) => setQuery({ status: next })} />`}>
      <${Loaded} of=${found}>
        ${(/** @type {any} */ data) =>
          data.deliveries.length === 0
            ? html`<${Empty} icon="event" title="Nothing was posted yet" command=${curl("POST", `${where}/ping`)}>Send a ping to try the way. Each delivery is kept for 30 days with all of its attempts.<//>`
            : html`<ul class="lines">${data.deliveries.map((/** @type {any} */ one) => html`<li key=${one.id}>
                <${State} state=${one.status === "dead" ? "failed" : one.status} label=${one.status} />
                <span class="grow"><span class="strong">${words(one.kind)}</span><br /><span class="small faint wrap-any">${[plural(one.attempts, "attempt"), one.last_status && `answered ${one.last_status}`, one.last_error].filter(Boolean).join(", ")}${one.next_attempt_at && html`, next <${Time} at=${one.next_attempt_at} />`}</span></span>
                <span class="faint small hide-phone"><${Time} at=${one.created_at} /></span>
                <${Button} kind="little" label=${`Look at ${one.kind}`} icon="info" onClick=${() => setShown(one.id)} />
              </li>`)}</ul>
              ${data.next_cursor && limit < MOST && html`<footer class="row end"><${Button} kind="little" onClick=${() => setLimit(MOST)}>Older<//></footer>`}`}
      <//>
    <//>
    ${shown && html`<${Delivery} where=${`${where}/deliveries/${encodeURIComponent(shown)}`} onClose=${() => setShown("")} />`}`;
}

/** @param {{where: string, onClose: () => void}} properties */
function Delivery({ where, onClose }) {
  const found = useResource(where, { every: 3 });
  const again = async () => {
    if ((await attempt(() => post(`${where}/redeliver`), "It is posted again")) === undefined) return;
    void invalidate("/webhooks");
    onClose();
  };
  return html`<${Dialog} title="A delivery" large onClose=${onClose} foot=${html`<${Button} onClick=${onClose}>Close<//><${Button} kind="primary" icon="refresh" onClick=${again}>Post again<//>`}>
    <${Loaded} of=${found} lines=${5}>
      ${(/** @type {any} */ one) => html`<dl class="facts"><dt>Event</dt><dd>${words(one.kind)}</dd><dt>State</dt><dd><${State} state=${one.status === "dead" ? "failed" : one.status} label=${one.status} /></dd><dt>About</dt><dd class="mono small">${one.resource_id}</dd>${one.position !== null && html`<dt>Position</dt><dd class="number">${number(one.position)}</dd>`}</dl>
        ${one.log.length === 0
          ? html`<p class="soft">It was not posted yet.</p>`
          : html`<div class="table-wrap" tabindex="0" role="region" aria-label="Attempts"><table class="table"><thead><tr><th scope="col" class="number">Attempt</th><th scope="col">When</th><th scope="col">Answer</th><th scope="col" class="number">Took</th></tr></thead>
              <tbody>${one.log.map((/** @type {any} */ attempt) => html`<tr key=${attempt.number}><td class="number">${attempt.number}</td><td><${Time} at=${attempt.at} plain /></td><td class="wrap-any">${attempt.response_status !== null && html`<${State} state=${attempt.response_status >= GOOD_FROM && attempt.response_status <= GOOD_TO ? "delivered" : "failed"} label=${String(attempt.response_status)} />`} <span class="small faint">${attempt.error ?? ""}</span></td><td class="number">${number(attempt.took_ms)} ms</td></tr>`)}</tbody></table></div>`}`}
    <//>
  <//>`;
}

/** @param {{hook: any, onClose: () => void, onMade?: (made: any) => void}} properties */
function SetWebhook({ hook, onClose, onMade }) {
  const projects = useResource("/projects").data ?? [];
  const [url, setUrl] = useState(hook?.url ?? "");
  const [kinds, setKinds] = useState(hook?.kinds.join(", ") ?? "");
  const [description, setDescription] = useState(hook?.description ?? "");
  const [project, setProject] = useState("");
  const does = async () => {
    const wish = { url: url.trim(), kinds: kindsOf(kinds), description };
    if (hook) {
      await patch(path`/webhooks/${hook.id}`, wish);
      toast("Saved", "good");
    } else {
      const made = await post("/webhooks", { ...wish, ...(project ? { project_id: project } : {}) });
      onMade?.({ name: "this webhook", secret: made.secret });
    }
    void invalidate("/webhooks");
  };
  return html`<${FormDialog} title=${hook ? "Change the webhook" : "Add a webhook"} verb=${hook ? "Save" : "Add webhook"} onClose=${onClose} does=${does} ready=${url.trim() !== ""} fields=${["url", "kinds", "description"]}>
    ${(/** @type {any} */ error) => html`<${TextField} label="Address" type="url" autofocus autocomplete="off" spellcheck="false" placeholder="https://hooks.example.com/zentry" hint="Over https, and reachable from the internet." value=${url} onInput=${setUrl} problem=${error?.of("url")} />
      <${TextField} label="Kinds of events" placeholder="vm., credit.low" autocomplete="off" spellcheck="false" hint="Beginnings, with commas between them; empty is all." value=${kinds} onInput=${setKinds} problem=${error?.of("kinds")} />
      <${TextField} label="Description" value=${description} onInput=${setDescription} problem=${error?.of("description")} />
      ${!hook && projects.length > 0 && html`<${Select} label="Of" value=${project} onChange=${setProject} options=${[["", "my account"], ...projects.map((/** @type {any} */ one) => [one.id, `project ${one.name}`])]} />`}`}
  <//>`;
}
