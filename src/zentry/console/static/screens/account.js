// Who the account belongs to, where it is reached, what is kept about it, and how it ends.
import { post, put } from "../core/api.js";
import { download } from "../core/download.js";
import { date } from "../core/format.js";
import { refreshUser, signOut, user } from "../core/session.js";
import { html, useState } from "../core/view.js";
import { Badge, Button, Card, Copy, TextField, Time } from "../ui/basics.js";
import { FormDialog, Refusal, useForm } from "../ui/form.js";
import { attempt, toast } from "../ui/overlays.js";

export function Profile() {
  const who = user.value;
  const [name, setName] = useState(who?.name ?? "");
  const [asking, setAsking] = useState("");
  const { error, go } = useForm(async () => {
    await put("/auth/profile", { name });
    await refreshUser();
    toast("Saved", "good");
  });
  return html`<div class="grid two"><div class="stack">
      <${Card} title="Profile">
        <form class="stack" onSubmit=${go} novalidate>
          ${error && !error.of("name") && html`<${Refusal} error=${error} />`}
          <${TextField} label="Name" autocomplete="name" value=${name} onInput=${setName} problem=${error?.of("name")} />
          <div class="row wrap"><${Button} type="submit" kind="primary" disabled=${name === who?.name}>Save<//></div>
        </form>
      <//>
      <${Card} title="E-mail" actions=${who?.email_verified ? html`<${Badge} kind="good" icon="check">confirmed<//>` : html`<${Badge} kind="warn" icon="alert">not confirmed<//>`}>
        <div class="stack">
          <p><span class="strong wrap-any">${who?.email}</span><br /><span class="soft small">It is what you sign in with, and where mail about your account goes.</span></p>
          <div class="row wrap"><${Button} onClick=${() => setAsking("email")}>Change the address<//>
            ${!who?.email_verified && html`<${Button} onClick=${() => attempt(async () => toast((await post("/auth/email/verification")).message, "good"))}>Send the link again<//>`}</div>
        </div>
      <//>
      </div><div class="stack">
      <${Card} title="Account">
        <dl class="facts">
          <dt>Role</dt><dd>${who?.role}</dd>
          <dt>Since</dt><dd>${date(who?.created_at)}</dd>
          <dt>Last sign-in</dt><dd><${Time} at=${who?.last_login} /></dd>
          <dt>ID</dt><dd class="mono small">${who?.id} <${Copy} text=${who?.id ?? ""} label="Copy the id" /></dd>
        </dl>
        <p class="row wrap sign-out"><${Button} icon="download" onClick=${() => attempt(() => download("/auth/account/export", "account.json"))}>What is kept about me<//><${Button} icon="out" onClick=${() => void signOut()}>Sign out<//></p>
      <//>
      <${Card} title="End this account" kind="danger-zone">
        <div class="stack">
          <p class="soft">Closed, nobody can sign in until the operator opens it again; machines that run go on, and cost. Deleted, everything personal is gone for good; the lines of the books stay, without a name.</p>
          <div class="row wrap"><${Button} kind="danger" icon="lock" onClick=${() => setAsking("deactivate")}>Close it<//><${Button} kind="danger" icon="trash" onClick=${() => setAsking("delete")}>Delete the account<//></div>
        </div>
      <//>
    </div></div>
    ${asking === "email" && html`<${ChangeEmail} onClose=${() => setAsking("")} />`}
    ${["deactivate", "delete"].includes(asking) && html`<${End} verb=${asking} onClose=${() => setAsking("")} />`}`;
}

/** @param {{onClose: () => void}} properties */
function ChangeEmail({ onClose }) {
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const does = async () => toast((await put("/auth/email", { email: email.trim(), password })).message, "good");
  return html`<${FormDialog} title="Change the address" verb="Send the link" onClose=${onClose} does=${does} ready=${email.trim() !== "" && password !== ""} fields=${["email", "password"]}>
    ${(/** @type {any} */ error) => html`<p class="soft">A link goes to the new address; it holds from the moment that it is followed. Until then you sign in with the old one.</p>
      <${TextField} label="New e-mail" type="email" autocomplete="email" autofocus value=${email} onInput=${setEmail} problem=${error?.of("email")} />
      <${TextField} label="Password" type="password" autocomplete="current-password" value=${password} onInput=${setPassword} problem=${error?.of("password")} />`}
  <//>`;
}

/** @param {{verb: string, onClose: () => void}} properties */
function End({ verb, onClose }) {
  const [password, setPassword] = useState("");
  const [typed, setTyped] = useState("");
  const isDeletion = verb === "delete";
  const does = async () => {
    const done = await post(`/auth/account/${verb}`, { password });
    await signOut();
    toast(done.message, "good");
  };
  return html`<${FormDialog} title=${isDeletion ? "Delete the account?" : "Close the account?"} verb=${isDeletion ? "Delete it for good" : "Close it"} kind="danger solid" onClose=${onClose} does=${does} ready=${password !== "" && typed.trim() === user.value?.email} fields=${["password"]}>
    ${(/** @type {any} */ error) => html`<p class="soft">${isDeletion ? "Machines and projects have to be deleted before, and what credit is left is lost." : "Machines that run go on and cost; stop them first. You cannot sign in again by yourself."} Take along what is kept about you first.</p>
      <div><${Button} icon="download" onClick=${() => attempt(() => download("/auth/account/export", "account.json"))}>What is kept about me<//></div>
      <${TextField} label=${`Type ${user.value?.email} to confirm`} autocomplete="off" spellcheck="false" value=${typed} onInput=${setTyped} />
      <${TextField} label="Password" type="password" autocomplete="current-password" value=${password} onInput=${setPassword} problem=${error?.of("password")} />`}
  <//>`;
}
