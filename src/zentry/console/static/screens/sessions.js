// Where one is signed in, and the tokens that programs use.
import { path, post, remove } from "../core/api.js";
import { date, plural } from "../core/format.js";
import { Icon } from "../core/icons.js";
import { invalidate, useResource } from "../core/resource.js";
import { isAdmin } from "../core/session.js";
import { html, useState } from "../core/view.js";
import { Badge, Button, Card, Check, Copy, curl, Empty, Loaded, Notice, Select, TextField, Time } from "../ui/basics.js";
import { FormDialog } from "../ui/form.js";
import { attempt, confirm, Dialog, Menu } from "../ui/overlays.js";
import { useNames } from "./happenings.js";

/** @type {[RegExp, string][]} */
const BROWSERS = [[/Edg\//, "Edge"], [/Firefox\//, "Firefox"], [/Chrome\//, "Chrome"], [/Safari\//, "Safari"], [/^curl/, "curl"], [/python|httpx/i, "Python"]];
/** @type {[RegExp, string][]} */
const SYSTEMS = [[/Windows/, "Windows"], [/iPhone|iPad/, "iOS"], [/Android/, "Android"], [/Mac OS X/, "macOS"], [/Linux/, "Linux"]];

/** "Firefox on Linux", as far as a client says what it is. @param {string} agent */
function client(agent) {
  const [browser, system] = [BROWSERS, SYSTEMS].map((known) => known.find(([pattern]) => pattern.test(agent))?.[1]);
  if (!browser) return agent.slice(0, 60) || "Unknown client";
  return system ? `${browser} on ${system}` : browser;
}

export function Sessions() {
  const found = useResource("/auth/sessions", { every: 30 });
  const again = () => invalidate("/auth/sessions");
  const end = async (/** @type {any} */ session) => {
    await attempt(() => remove(path`/auth/sessions/${session.id}`), "That session has ended");
    await again();
  };
  const endOthers = async () => {
    if (!(await confirm({ title: "End all other sessions?", text: "Everywhere but here, you have to sign in again.", verb: "End them" }))) return;
    await attempt(() => remove("/auth/sessions"), "All other sessions have ended");
    await again();
  };
  return html`<${Card} title="Sessions" pad=${false} actions=${found.data?.length > 1 && html`<${Button} kind="danger" onClick=${endOthers}>End all others<//>`}>
    <${Loaded} of=${found}>
      ${(/** @type {any[]} */ sessions) => html`<ul class="lines">
        ${sessions.map((session) => html`<li key=${session.id}>
          <span class="mark"><${Icon} name="user" /></span>
          <span class="grow"><span class="strong wrap-any" title=${session.user_agent}>${client(session.user_agent)}</span> ${session.is_current && html`<${Badge} kind="accent" icon="check">this one<//>`}<br /><span class="small faint">${session.address} · used <${Time} at=${session.last_used_at} /> · since <${Time} at=${session.created_at} /></span></span>
          ${!session.is_current && html`<${Button} kind="little" onClick=${() => end(session)}>End<//>`}
        </li>`)}
      </ul>`}
    <//>
  <//>`;
}

const AREAS = ["vms", "projects", "billing", "monitoring", "events", "operations", "ssh_keys", "templates", "account", "webhooks"];
const LIVES = /** @type {[string, string][]} */ ([["7", "7 days"], ["30", "30 days"], ["90", "90 days"], ["365", "a year"]]);

export function Tokens() {
  const found = useResource("/auth/tokens");
  const [making, setMaking] = useState(false);
  const [secret, setSecret] = useState(/** @type {any} */ (null));
  const names = useNames();
  const again = () => invalidate("/auth/tokens");
  const revoke = async (/** @type {any} */ token) => {
    if (!(await confirm({ title: `Revoke ${token.name}?`, text: "Programs that use it are refused at once.", verb: "Revoke", typed: token.name }))) return;
    await attempt(() => remove(path`/auth/tokens/${token.id}`), "The token is revoked");
    await again();
  };
  const rotate = async (/** @type {any} */ token) => {
    if (!(await confirm({ title: `Rotate ${token.name}?`, text: "It gets a new secret; the old one is refused at once.", verb: "Rotate", danger: false }))) return;
    const made = await attempt(() => post(path`/auth/tokens/${token.id}/rotate`));
    if (made) setSecret(made);
    await again();
  };
  return html`<${Card} title="Personal access tokens" pad=${false} actions=${html`<${Button} icon="plus" onClick=${() => setMaking(true)}>Make token<//>`}>
      <${Loaded} of=${found}>
        ${(/** @type {any[]} */ tokens) =>
          tokens.length === 0
            ? html`<${Empty} icon="key" title="No tokens" action=${html`<${Button} kind="primary" icon="plus" onClick=${() => setMaking(true)}>Make token<//>`} command=${curl("GET", "/vms")}>A token lets a program act for you, as far as its scopes go, until it ends.<//>`
            : html`<ul class="lines">${tokens.map((token) => html`<li key=${token.id}>
                <span class="grow"><span class="strong wrap-any">${token.name}</span> <span class="mono small faint">…${token.ending}</span><br /><span class="small faint wrap-any">${token.scopes.join(", ")}${token.project_ids && ` · in ${token.project_ids.map((/** @type {string} */ id) => names.get(id) ?? "a project").join(", ")}`}</span><br /><span class="small faint">ends ${date(token.expires_at)} · ${token.last_used_at ? html`used <${Time} at=${token.last_used_at} />` : "never used"}</span></span>
                <${Menu} label=${`Actions for ${token.name}`} items=${[{ icon: "refresh", label: "Rotate", does: () => void rotate(token) }, null, { icon: "trash", label: "Revoke", danger: true, does: () => void revoke(token) }]} />
              </li>`)}</ul>`}
      <//>
    <//>
    ${making && html`<${MakeToken} onClose=${() => setMaking(false)} onMade=${(/** @type {any} */ made) => { setMaking(false); setSecret(made); void again(); }} />`}
    ${secret && html`<${Secret} made=${secret} onClose=${() => setSecret(null)} />`}`;
}

/** @param {{made: any, onClose: () => void}} properties */
export const Secret = ({ made, onClose }) => html`<${Dialog} title=${`The secret of ${made.name}`} onClose=${onClose} foot=${html`<${Button} kind="primary" onClick=${onClose}>I have kept it<//>`}>
  <${Notice} kind="warn" icon="alert">It is shown now and never again.<//>
  <div class="row"><code class="formula grow wrap-any">${made.token ?? made.secret ?? "shown before"}</code><${Copy} text=${made.token ?? made.secret ?? ""} label="Copy the secret" /></div>
<//>`;

/** @param {{onClose: () => void, onMade: (made: any) => void}} properties */
function MakeToken({ onClose, onMade }) {
  const projects = useResource("/projects").data ?? [];
  const [name, setName] = useState("");
  const [days, setDays] = useState("30");
  const [scopes, setScopes] = useState(/** @type {string[]} */ (["vms:read"]));
  const [within, setWithin] = useState(/** @type {string[]} */ ([]));
  const areas = isAdmin.value ? [...AREAS, "admin"] : AREAS;
  const does = async () => onMade(await post("/auth/tokens", { name: name.trim(), scopes, expires_in_days: Number(days), ...(within.length > 0 ? { project_ids: within } : {}) }));
  return html`<${FormDialog} title="Make a token" verb="Make token" onClose=${onClose} does=${does} ready=${scopes.length > 0} fields=${["name"]} note=${plural(scopes.length, "scope")}>
    ${(/** @type {any} */ error) => html`<${TextField} label="Name" autofocus autocomplete="off" placeholder="backup script" value=${name} onInput=${setName} problem=${error?.of("name")} />
      <${Select} label="It ends after" value=${days} onChange=${setDays} options=${LIVES} />
      <fieldset class="stack tight"><legend class="field-label">What it may do</legend>
        <div class="scopes">${areas.map((area) => html`<span class="strong small">${area.replace("_", " ")}</span>${["read", "write"].map((verb) => html`<${Check} key=${verb} label=${verb} checked=${scopes.includes(`${area}:${verb}`)} onChange=${(/** @type {boolean} */ on) => setScopes(toggled(scopes, `${area}:${verb}`, on))} />`)}`)}</div>
      </fieldset>
      ${projects.length > 0 &&
      html`<fieldset class="stack tight"><legend class="field-label">Only in</legend>
        ${projects.map((/** @type {any} */ one) => html`<${Check} key=${one.id} label=${one.name} checked=${within.includes(one.id)} onChange=${(/** @type {boolean} */ on) => setWithin(toggled(within, one.id, on))} />`)}
        <span class="small faint">None: in all of them, and in what belongs to the account.</span>
      </fieldset>`}`}
  <//>`;
}

/** @param {string[]} all @param {string} one @param {boolean} on */
const toggled = (all, one, on) => (on ? [...all, one] : all.filter((other) => other !== one));
