// The account: who it is, how it looks here, and the keys that go on its machines.
import { path, post, remove } from "../core/api.js";
import { prefer, theme, zone } from "../core/preferences.js";
import { invalidate, useResource } from "../core/resource.js";
import { html, useState } from "../core/view.js";
import { Button, Card, curl, Empty, Head, Loaded, Segments, Tabs, TextField, Time } from "../ui/basics.js";
import { FormDialog, lazy } from "../ui/form.js";
import { attempt, Menu, toast, undoable } from "../ui/overlays.js";
import { Profile } from "./account.js";
import { Password, SecondFactor } from "./second-factor.js";
import { Sessions, Tokens } from "./sessions.js";

const TABS = /** @type {[string, string][]} */ ([["/settings", "Profile"], ["/settings/security", "Security"], ["/settings/tokens", "Tokens"], ["/settings/keys", "SSH keys"], ["/settings/webhooks", "Webhooks"], ["/settings/appearance", "Appearance"]]);

const Webhooks = lazy(() => import("./webhooks.js"), "Webhooks");

/** @param {{tab?: string, id?: string}} properties */
export default function Settings({ tab = "", id }) {
  const View = { security: Security, tokens: Tokens, keys: Keys, webhooks: Webhooks, appearance: Appearance }[tab] ?? Profile;
  return html`<${Head} title="Settings" />
    <${Tabs} label="Settings" tabs=${TABS} current=${tab ? `/settings/${tab}` : "/settings"} />
    <${View} key=${tab} id=${id} />`;
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
  const does = async () => {
    await post("/ssh-keys", { name: name.trim(), public_key: text.trim() });
    void invalidate("/ssh-keys");
    toast("The key is added", "good");
  };
  return html`<${FormDialog} title="Add an SSH key" verb="Add key" onClose=${onClose} does=${does} fields=${["name", "public_key"]}>
    ${(/** @type {any} */ error) => html`<${TextField} label="Name" autofocus placeholder="laptop" autocomplete="off" value=${name} onInput=${setName} problem=${error?.of("name")} />
      <${TextField} label="Public key" multiline hint="The content of a file such as ~/.ssh/id_ed25519.pub" spellcheck="false" value=${text} onInput=${setText} problem=${error?.of("public_key")} />`}
  <//>`;
}
