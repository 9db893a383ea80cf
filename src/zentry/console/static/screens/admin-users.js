// For administrators: the accounts. Found, looked at, helped, suspended.
import { address, ApiError, path, post, put } from "../core/api.js";
import { date, money } from "../core/format.js";
import { Icon } from "../core/icons.js";
import { invalidate, useResource } from "../core/resource.js";
import { link, place, setQuery } from "../core/router.js";
import { user } from "../core/session.js";
import { html, useState } from "../core/view.js";
import { Badge, Button, Card, Check, Copy, curl, Empty, Loaded, Notice, Select, Stat, State, TextField, Time } from "../ui/basics.js";
import { FormDialog } from "../ui/form.js";
import { attempt, confirm, Menu, toast } from "../ui/overlays.js";
import { ChangeQuotas, Quotas } from "./quotas.js";

const PAGE = 50;
const CHANGES = /** @type {[string, string][]} */ ([["grant", "Grant: a gift"], ["adjustment", "Adjustment: what was missing"], ["deduction", "Deduction"]]);

/** @param {string} where @param {Record<string, any>} query */
const below = (where, query) => address(where, query).slice((document.body.dataset.root ?? "").length);

/** @param {{id?: string}} properties */
export const Users = ({ id }) => (id ? html`<${User} key=${id} id=${id} />` : html`<${List} />`);

/** @param {{who: any}} properties */
const Standing = ({ who }) => (who.suspended_at ? html`<${Badge} kind="bad" icon="lock">suspended<//>` : html`<${State} state=${who.is_active ? "active" : "stopped"} label=${who.is_active ? "active" : "closed"} />`);

function List() {
  const query = place.value.query;
  const found = useResource(below("/admin/users", { limit: PAGE, email: query.get("email"), role: query.get("role"), suspended: query.get("suspended"), cursor: query.get("cursor") }), { every: 30 });
  const choose = (/** @type {string} */ name) => (/** @type {string} */ value) => setQuery({ [name]: value, cursor: null });
  return html`<${Card} pad=${false}>
    <div class="toolbar">
      <div class="search"><${Icon} name="search" /><input class="input" type="search" aria-label="Find accounts by e-mail" placeholder="Find by e-mail" value=${query.get("email") ?? ""} onChange=${(/** @type {any} */ event) => choose("email")(event.currentTarget.value.trim())} /></div>
      <${Select} bare label="Role" value=${query.get("role") ?? ""} onChange=${choose("role")} options=${[["", "All roles"], ["user", "Users"], ["admin", "Administrators"]]} />
      <${Select} bare label="Standing" value=${query.get("suspended") ?? ""} onChange=${choose("suspended")} options=${[["", "Any standing"], ["true", "Suspended"], ["false", "Not suspended"]]} />
    </div>
    <${Loaded} of=${found} lines=${8}>
      ${(/** @type {any} */ data) =>
        data.users.length === 0
          ? html`<${Empty} icon="users" title="No account fits" command=${curl("GET", "/admin/users?email=ada")} />`
          : html`<div class="table-wrap"><table class="table folds">
              <thead><tr><th scope="col">Account</th><th scope="col">Standing</th><th scope="col" class="number">Credit</th><th scope="col" class="number">Held</th><th scope="col">Since</th><th scope="col">Last sign-in</th></tr></thead>
              <tbody>${data.users.map((/** @type {any} */ who) => html`<tr key=${who.id}>
                <td class="wrap-any"><a href=${link(`/admin/users/${who.id}`)}>${who.name}</a> ${who.role === "admin" && html`<${Badge} kind="accent" icon="shield">admin<//>`}<br /><span class="small faint">${who.email}</span></td>
                <td><${Standing} who=${who} /></td>
                <td class="number hide-phone">${money(who.credits)}</td><td class="number hide-phone">${money(who.held)}</td><td class="faint small hide-phone">${date(who.created_at)}</td><td class="faint small hide-phone"><${Time} at=${who.last_login} /></td>
              </tr>`)}</tbody>
            </table></div>
            ${(query.get("cursor") || data.next_cursor) && html`<footer class="row end">${query.get("cursor") && html`<${Button} kind="little" icon="left" onClick=${() => setQuery({ cursor: null })}>To the first<//>`}${data.next_cursor && html`<${Button} kind="little" onClick=${() => setQuery({ cursor: data.next_cursor })}>More<${Icon} name="right" /><//>`}</footer>`}`}
    <//>
  <//>`;
}

/** @param {{id: string}} properties */
function User({ id }) {
  const where = path`/admin/users/${id}`;
  const found = useResource(where, { every: 15 });
  const [form, setForm] = useState("");
  const close = () => setForm("");
  const who = found.data;
  if (found.error && [400, 404].includes(found.error.status)) return html`<${Card}><${Empty} icon="users" title="There is no such account" action=${html`<${Button} href="/admin/users">To the accounts<//>`} /><//>`;
  return html`<${Loaded} of=${found} lines=${8}>
    ${() => html`<div class="row apart wrap"><h2 class="wrap-any">${who.name} <${Standing} who=${who} /> ${who.role === "admin" && html`<${Badge} kind="accent" icon="shield">admin<//>`}</h2>
        <span class="row wrap"><${Button} icon="billing" onClick=${() => setForm("credit")}>Credit<//>${who.id !== user.value?.id && html`<${More} who=${who} ask=${setForm} />`}</span></div>
      ${who.suspended_at && html`<${Notice} kind="bad" icon="lock">Suspended <${Time} at=${who.suspended_at} />: <span class="wrap-any">${who.suspended_for}</span><//>`}
      <div class="grid stats">
        <${Stat} label="Credit" icon="billing" value=${money(who.credits)} note=${`${money(who.held)} held for what runs`} />
        <${Stat} label="Since" icon="clock" value=${date(who.created_at)} />
        <${Stat} label="Last sign-in" icon="user" value=${html`<${Time} at=${who.last_login} />`} />
      </div>
      <${Card} title="Quotas" actions=${html`<${ChangeQuotas} path=${`${where}/quotas`} />`}><${Quotas} path=${`${where}/quotas`} /><//>
      <${Card} title="Account"><dl class="facts"><dt>E-mail</dt><dd>${who.email}</dd><dt>Role</dt><dd>${who.role}</dd><dt>ID</dt><dd class="mono small">${who.id} <${Copy} text=${who.id} label="Copy the id" /></dd></dl>
        <p class="row wrap sign-out"><${Button} kind="little" href=${`/admin/audit?user=${who.id}`}>What was done<//><${Button} kind="little" href=${`/admin/operations?user=${who.id}`}>Operations<//></p><//>`}
    <//>
    ${form === "credit" && html`<${ChangeCredit} who=${who} onClose=${close} />`}
    ${form === "suspend" && html`<${Suspend} who=${who} onClose=${close} />`}
    ${form === "discount" && html`<${SetDiscount} who=${who} onClose=${close} />`}`;
}

/** @param {{who: any, ask: (form: string) => void}} properties */
function More({ who, ask }) {
  const role = who.role === "admin" ? "user" : "admin";
  const does = async (/** @type {() => Promise<any>} */ send, /** @type {string} */ done) => {
    await attempt(send, done);
    await invalidate("/admin/users");
  };
  const change = async () => {
    if (!(await confirm({ title: `Make ${who.name} ${role === "admin" ? "an administrator" : "a user"}?`, text: role === "admin" ? "An administrator sees and changes everything." : "They keep their own machines and lose the rest.", verb: "Change the role", typed: who.email }))) return;
    await does(() => put(path`/admin/users/${who.id}/role`, { role }), `${who.name} is ${role} now`);
  };
  const reset = async () => {
    if (!(await confirm({ title: `Take the second factor off ${who.name}?`, text: "A password alone opens the account then. Make sure that it is they who ask.", verb: "Take it off", typed: who.email }))) return;
    await does(() => post(path`/admin/users/${who.id}/second-factor/reset`), "The second factor is off");
  };
  return html`<${Menu} label="More actions" kind="" items=${[
    { icon: "tag", label: "Discount", does: () => ask("discount") },
    { icon: "out", label: "Sign out everywhere", does: () => void does(() => post(path`/admin/users/${who.id}/sign-out`), "All of their sessions have ended") },
    { icon: "key", label: "Reset the second factor", does: () => void reset() },
    { icon: "shield", label: role === "admin" ? "Make an administrator" : "Make a user", does: () => void change() },
    null,
    who.suspended_at ? { icon: "play", label: "Resume", does: () => void does(() => post(path`/admin/users/${who.id}/resume`), `${who.name} may go on`) } : { icon: "lock", label: "Suspend", danger: true, does: () => ask("suspend") },
  ]} />`;
}

/** @param {{who: any, onClose: () => void}} properties */
function Suspend({ who, onClose }) {
  const [reason, setReason] = useState("");
  const [stop, setStop] = useState(false);
  const does = async () => {
    await post(path`/admin/users/${who.id}/suspend`, { reason, stop_vms: stop });
    toast(`${who.name} is suspended`, "good");
    void invalidate("/admin/users");
  };
  return html`<${FormDialog} title=${`Suspend ${who.name}?`} verb="Suspend" kind="danger solid" onClose=${onClose} does=${does} ready=${reason.trim() !== ""} fields=${["reason"]}>
    ${(/** @type {any} */ error) => html`<p class="soft">Their sessions and tokens are refused at once.</p>
      <${TextField} label="Reason" autofocus value=${reason} onInput=${setReason} problem=${error?.of("reason")} />
      <${Check} label="Stop their machines as well" checked=${stop} onChange=${setStop} />`}
  <//>`;
}

/** Credit for somebody, with a reason that their bill shows. @param {{who: any, onClose: () => void}} properties */
function ChangeCredit({ who, onClose }) {
  const [kind, setKind] = useState("grant");
  const [amount, setAmount] = useState("");
  const [days, setDays] = useState("");
  const [reason, setReason] = useState("");
  const does = async () => {
    const ends = kind === "grant" && days.trim() !== "";
    const done = await post(path`/admin/users/${who.id}/${ends ? "grants" : "credits"}`, { ...(ends ? { days: Number(days) } : { kind }), amount: Number(amount), reason });
    toast(ends ? `${money(done.amount)} until ${date(done.expires_at)}` : `The balance is ${money(done.balance)} now`, "good");
    void invalidate("/admin/users");
  };
  return html`<${FormDialog} title=${`Credit of ${who.name}`} verb="Write it" onClose=${onClose} does=${does} ready=${Number(amount) > 0 && reason.trim() !== ""} fields=${["amount", "reason", "days"]}>
    ${(/** @type {ApiError | null} */ error) => html`<${Select} label="Kind" value=${kind} onChange=${setKind} options=${CHANGES} />
      <div class="grid"><${TextField} label="Amount" inputmode="decimal" autofocus value=${amount} onInput=${setAmount} problem=${error?.of("amount")} />${kind === "grant" && html`<${TextField} label="Ends after days" hint="empty: it does not end" inputmode="numeric" value=${days} onInput=${setDays} problem=${error?.of("days")} />`}</div>
      <${TextField} label="Reason" hint="It is written on their bill." value=${reason} onInput=${setReason} problem=${error?.of("reason")} />`}
  <//>`;
}

/** @param {{who: any, onClose: () => void}} properties */
function SetDiscount({ who, onClose }) {
  const [percent, setPercent] = useState("");
  const [reason, setReason] = useState("");
  const does = async () => {
    await put(path`/admin/users/${who.id}/discount`, { percent: Number(percent), reason });
    toast("It holds from this second on", "good");
  };
  return html`<${FormDialog} title=${`Discount of ${who.name}`} verb="Set it" onClose=${onClose} does=${does} ready=${percent.trim() !== "" && reason.trim() !== ""} fields=${["percent", "reason"]}>
    ${(/** @type {any} */ error) => html`<${TextField} label="Percent off every rate" inputmode="decimal" autofocus value=${percent} onInput=${setPercent} problem=${error?.of("percent")} /><${TextField} label="Reason" value=${reason} onInput=${setReason} problem=${error?.of("reason")} />`}
  <//>`;
}
