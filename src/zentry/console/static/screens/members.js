// Who may do what in a project: members, those who are invited, and who shall own it next.
import { patch, path, post, remove } from "../core/api.js";
import { date, money } from "../core/format.js";
import { invalidate, useResource } from "../core/resource.js";
import { navigate } from "../core/router.js";
import { user } from "../core/session.js";
import { html, useState } from "../core/view.js";
import { Badge, Button, Card, curl, Loaded, Notice, Select, Snippet, TextField, Time } from "../ui/basics.js";
import { FormDialog } from "../ui/form.js";
import { attempt, confirm, Menu, toast } from "../ui/overlays.js";

const ROLES = /** @type {[string, string][]} */ ([["admin", "Admin: machines and members"], ["member", "Member: machines"], ["viewer", "Viewer: looks only"]]);

/** @param {{project: any}} properties */
export function Members({ project }) {
  const where = path`/projects/${project.id}`;
  const members = useResource(`${where}/members`, { every: 30 });
  const manages = ["owner", "admin"].includes(project.role);
  const invitations = useResource(manages ? `${where}/invitations` : null, { every: 30 }).data ?? [];
  const [inviting, setInviting] = useState(false);
  const [heir, setHeir] = useState(/** @type {any} */ (null));
  const alone = members.data?.length === 1 && invitations.length === 0;
  return html`<${Card} title="Members" pad=${false} actions=${manages && html`<${Button} kind="little" icon="plus" onClick=${() => setInviting(true)}>Invite<//>`}>
      <${Loaded} of=${members}>
        ${(/** @type {any[]} */ all) => html`<ul class="lines">
          ${all.map((member) => html`<${Member} key=${member.user_id} member=${member} project=${project} manages=${manages} offer=${() => setHeir(member)} />`)}
          ${invitations.map((/** @type {any} */ one) => html`<${Invitation} key=${one.id} invitation=${one} where=${where} />`)}
        </ul>
        ${alone && html`<div class="body stack tight"><p class="small soft">Invite people to look, to work, or to manage with you. You pay for what they start.</p><${Snippet} text=${curl("POST", `${where}/invitations`, { email: "grace@example.com", role: "member" })} /></div>`}`}
      <//>
    <//>
    ${inviting && html`<${Invite} where=${where} onClose=${() => setInviting(false)} />`}
    ${heir && html`<${Offer} where=${where} heir=${heir} project=${project} onClose=${() => setHeir(null)} />`}`;
}

/** @param {{member: any, project: any, manages: boolean, offer: () => void}} properties */
function Member({ member, project, manages, offer }) {
  const where = path`/projects/${project.id}`;
  const self = member.user_id === user.value?.id;
  const change = async (/** @type {string} */ role) => {
    await attempt(() => patch(`${where}/members/${member.user_id}`, { role }), `${member.name} is ${role} now`);
    await invalidate(where);
  };
  const drop = async () => {
    const asked = self
      ? { title: `Leave ${project.name}?`, text: "You see its machines no longer. Who manages it can invite you again.", verb: "Leave", typed: project.name }
      : { title: `Remove ${member.name}?`, text: "The project's machines stay; this person sees them no longer.", verb: "Remove" };
    if (!(await confirm(asked))) return;
    if ((await attempt(() => remove(`${where}/members/${member.user_id}`), self ? `You have left ${project.name}` : `${member.name} is no longer a member`)) === undefined) return;
    if (self) navigate("/projects");
    await invalidate("/projects");
  };
  const items = [
    ...(manages && !self ? ROLES.filter(([role]) => role !== member.role).map(([role]) => ({ icon: "shield", label: `Make ${role}`, does: () => void change(role) })) : []),
    ...(project.role === "owner" ? [{ icon: "gift", label: "Hand the project over", does: offer }] : []),
    ...(manages || self ? [null, { icon: self ? "out" : "trash", label: self ? "Leave the project" : "Remove", danger: true, does: () => void drop() }] : []),
  ];
  return html`<li>
    <span class="grow"><span class="strong wrap-any">${member.name}</span>${self && html` <span class="small faint">you</span>`}<span class="small faint truncate block" title=${member.email}>${member.email}</span></span>
    <${Badge} icon="shield">${member.role}<//>
    ${member.role !== "owner" && items.length > 0 && html`<${Menu} label=${`Actions for ${member.name}`} items=${items} />`}
  </li>`;
}

/** @param {{invitation: any, where: string}} properties */
function Invitation({ invitation, where }) {
  const here = `${where}/invitations/${invitation.id}`;
  const again = () => invalidate(`${where}/invitations`);
  const resend = () => attempt(() => post(`${here}/resend`), "Sent again; the link before is worthless now").then(again);
  const revoke = () => attempt(() => remove(here), "The invitation is revoked").then(again);
  return html`<li>
    <span class="grow"><span class="truncate block" title=${invitation.email}>${invitation.email}</span><span class="small faint">as ${invitation.role}, sent <${Time} at=${invitation.sent_at} />, until ${date(invitation.expires_at)}</span></span>
    <${Badge} kind="accent" icon="clock">invited<//>
    <${Menu} label=${`Actions for the invitation of ${invitation.email}`} items=${[{ icon: "refresh", label: "Send again", does: () => void resend() }, null, { icon: "trash", label: "Revoke", danger: true, does: () => void revoke() }]} />
  </li>`;
}

/** @param {{where: string, onClose: () => void}} properties */
function Invite({ where, onClose }) {
  const [email, setEmail] = useState("");
  const [role, setRole] = useState("member");
  const does = async () => {
    await post(`${where}/invitations`, { email: email.trim(), role });
    toast(`${email.trim()} is invited`, "good");
    void invalidate(`${where}/invitations`);
  };
  return html`<${FormDialog} title="Invite somebody" verb="Invite" onClose=${onClose} does=${does} fields=${["email"]}>
    ${(/** @type {any} */ error) => html`<${TextField} label="E-mail" type="email" autofocus hint="The link in the mail holds for a week, and for an account of this address alone." value=${email} onInput=${setEmail} problem=${error?.of("email")} />
      <${Select} label="Role" value=${role} onChange=${setRole} options=${ROLES} />`}
  <//>`;
}

/** @param {{where: string, heir: any, project: any, onClose: () => void}} properties */
function Offer({ where, heir, project, onClose }) {
  const does = async () => {
    await post(`${where}/transfer`, { member_id: heir.user_id });
    toast(`${project.name} is offered to ${heir.name}`, "good");
    void invalidate(`${where}/transfer`);
  };
  return html`<${FormDialog} title=${`Hand ${project.name} over?`} verb="Offer it" onClose=${onClose} does=${does}>
    ${() => html`<p><strong class="wrap-any">${heir.name}</strong> has a week to accept. From that instant on they own the project and pay for what runs in it; you stay as an admin, and keep the bills of the time before.</p>`}
  <//>`;
}

/** What is offered, to whom it concerns. Only a project of several people can have an offer. @param {{project: any}} properties */
export function Transfer({ project }) {
  const where = path`/projects/${project.id}`;
  const members = useResource(`${where}/members`).data ?? [];
  const offer = useResource(members.length > 1 ? `${where}/transfer` : null, { every: 30 });
  const found = offer.data;
  if (!found || offer.error) return "";
  const mine = found.to_user_id === user.value?.id;
  const name = members.find((/** @type {any} */ one) => one.user_id === (mine ? found.from_user_id : found.to_user_id))?.name ?? "Somebody";
  const accept = async () => {
    const text = html`<p>You own ${project.name} from then on and pay for what runs in it; ${money(found.required_credits)} of your credit are held at once.</p>`;
    if (!(await confirm({ title: `Take ${project.name} over?`, text, verb: "Accept", danger: false }))) return;
    await attempt(() => post(`${where}/transfer/accept`), `${project.name} is yours`);
    await invalidate("/projects", "/billing", "/quotas");
  };
  const withdraw = async () => {
    await attempt(() => remove(`${where}/transfer`), mine ? "You have declined" : "The offer is withdrawn");
    await invalidate(where);
  };
  return html`<${Notice} icon="gift"><div class="row apart wrap">
    <span class="wrap-any">${mine ? `${name} offers you this project.` : `This project is offered to ${name}.`} <span class="soft">It takes ${money(found.required_credits)} of credit, until ${date(found.expires_at)}.</span></span>
    <span class="row">${mine && html`<${Button} kind="little primary" onClick=${accept}>Accept<//>`}<${Button} kind="little" onClick=${withdraw}>${mine ? "Decline" : "Withdraw"}<//></span>
  </div><//>`;
}
