// The account: who it is, how it looks here, and the keys that go on its machines.
import { ApiError, path, post, put, remove } from "../core/api.js";
import { date } from "../core/format.js";
import { prefer, theme, zone } from "../core/preferences.js";
import { invalidate, useResource } from "../core/resource.js";
import { signOut, refreshUser, user } from "../core/session.js";
import { html, useState } from "../core/view.js";
import { Button, Card, Copy, curl, Empty, Head, Loaded, Segments, Tabs, TextField, Time } from "../ui/basics.js";
import { attempt, Dialog, Menu, toast, undoable } from "../ui/overlays.js";
import { Password, SecondFactor } from "./second-factor.js";
import { Sessions, Tokens } from "./sessions.js";

const TABS = /** @type {[string, string][]} */ ([["/settings", "Profile"], ["/settings/security", "Security"], ["/settings/tokens", "Tokens"], ["/settings/keys", "SSH keys"], ["/settings/appearance", "Appearance"]]);

/** @param {{tab?: string}} properties */
export default function Settings({ tab = "" }) {
  const View = { security: Security, tokens: Tokens, keys: Keys, appearance: Appearance }[tab] ?? Profile;
  return html`<${Head} title="Settings" />
    <${Tabs} label="Settings" tabs=${TABS} current=${tab ? `/settings/${tab}` : "/settings"} />
    <${View} />`;
}

function Profile() {
  const who = user.value;
  const [name, setName] = useState(who?.name ?? "");
  const [error, setError] = useState(/** @type {ApiError | null} */ (null));
  const go = async (/** @type {Event} */ event) => {
    event.preventDefault();
    try {
      await put("/auth/profile", { name });
      await refreshUser();
      setError(null);
      toast("Saved", "good");
    } catch (failure) {
      if (!(failure instanceof ApiError)) throw failure;
      setError(failure);
    }
  };
  return html`<div class="grid two">
    <${Card} title="Profile">
      <form class="stack" onSubmit=${go}>
        <${TextField} label="Name" autocomplete="name" value=${name} onInput=${setName} problem=${error && (error.of("name") || error.message)} />
        <${TextField} label="E-mail" value=${who?.email ?? ""} onInput=${() => undefined} disabled hint="It is what you sign in with." />
        <div><${Button} type="submit" kind="primary" disabled=${name === who?.name}>Save<//></div>
      </form>
    <//>
    <${Card} title="Account">
      <dl class="facts">
        <dt>Role</dt><dd>${who?.role}</dd>
        <dt>Since</dt><dd>${date(who?.created_at)}</dd>
        <dt>Last sign-in</dt><dd><${Time} at=${who?.last_login} /></dd>
        <dt>ID</dt><dd class="mono small">${who?.id} <${Copy} text=${who?.id ?? ""} label="Copy the id" /></dd>
      </dl>
      <p class="row sign-out"><${Button} icon="out" onClick=${() => void signOut()}>Sign out<//></p>
    <//>
  </div>`;
}

const Security = () => html`<div class="grid two"><${Password} /><${SecondFactor} /></div><${Sessions} />`;

function Appearance() {
  return html`<${Card} title="Appearance">
    <div class="stack">
      <div class="stack tight"><span class="field-label">Theme</span><div><${Segments} label="Theme" value=${theme.value} onChange=${(/** @type {string} */ value) => prefer("theme", value)} options=${[["auto", "As the system"], ["light", "Light"], ["dark", "Dark"]]} /></div></div>
      <div class="stack tight"><span class="field-label">Times</span><div><${Segments} label="Times" value=${zone.value} onChange=${(/** @type {string} */ value) => prefer("zone", value)} options=${[["local", `Here (${Intl.DateTimeFormat().resolvedOptions().timeZone})`], ["UTC", "UTC"]]} /></div></div>
      <p class="small faint">Kept in this browser. Numbers and dates are written as its language has it.</p>
    </div>
  <//>`;
}

function Keys() {
  const found = useResource("/ssh-keys");
  const [adding, setAdding] = useState(false);
  const [hidden, setHidden] = useState(/** @type {string[]} */ ([]));
  const drop = (/** @type {any} */ key) => {
    setHidden([...hidden, key.id]);
    undoable(
      `The key ${key.name} is removed. Machines that have it keep it.`,
      () => void attempt(() => remove(path`/ssh-keys/${key.id}`)).then(() => invalidate("/ssh-keys")),
      () => setHidden((before) => before.filter((id) => id !== key.id)),
    );
  };
  return html`<${Card} title="SSH keys" pad=${false} actions=${html`<${Button} icon="plus" onClick=${() => setAdding(true)}>Add key<//>`}>
      <${Loaded} of=${found}>
        ${(/** @type {any[]} */ all) => {
          const keys = all.filter((key) => !hidden.includes(key.id));
          return keys.length === 0
            ? html`<${Empty} icon="key" title="No SSH keys" action=${html`<${Button} kind="primary" icon="plus" onClick=${() => setAdding(true)}>Add key<//>`} command=${curl("POST", "/ssh-keys", { name: "laptop", public_key: "ssh-ed25519 AAAA…" })}>Public keys that you add here are put on the machines that you create.<//>`
            : html`<ul class="lines">${keys.map((key) => html`<li key=${key.id}><span class="grow"><span class="strong wrap-any">${key.name}</span><br /><span class="small faint mono wrap-any">${key.fingerprint}</span></span><span class="small faint hide-phone">added <${Time} at=${key.created_at} /></span><${Menu} label=${`Actions for ${key.name}`} items=${[{ icon: "trash", label: "Remove", danger: true, does: () => drop(key) }]} /></li>`)}</ul>`;
        }}
      <//>
    <//>
    ${adding && html`<${AddKey} onClose=${() => setAdding(false)} />`}`;
}

/** @param {{onClose: () => void}} properties */
function AddKey({ onClose }) {
  const [name, setName] = useState("");
  const [text, setText] = useState("");
  const [error, setError] = useState(/** @type {ApiError | null} */ (null));
  const go = async () => {
    try {
      await post("/ssh-keys", { name: name.trim(), public_key: text.trim() });
      void invalidate("/ssh-keys");
      toast("The key is added", "good");
      onClose();
    } catch (failure) {
      if (!(failure instanceof ApiError)) throw failure;
      setError(failure);
    }
  };
  const about = error && !error.of("name") ? error.of("public_key") || error.message : "";
  return html`<${Dialog} title="Add an SSH key" onClose=${onClose} onSubmit=${go} foot=${html`<${Button} onClick=${onClose}>Cancel<//><${Button} type="submit" kind="primary">Add key<//>`}>
    <${TextField} label="Name" autofocus placeholder="laptop" autocomplete="off" value=${name} onInput=${setName} problem=${error?.of("name")} />
    <${TextField} label="Public key" multiline hint="The content of a file such as ~/.ssh/id_ed25519.pub" spellcheck="false" value=${text} onInput=${setText} problem=${about} />
  <//>`;
}
