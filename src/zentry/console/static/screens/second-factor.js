// The second factor and the password of the account.
import { post, put } from "../core/api.js";
import { refreshUser, user } from "../core/session.js";
import { html, useState } from "../core/view.js";
import { Badge, Button, Card, Copy, Notice, TextField } from "../ui/basics.js";
import { Refusal, useForm } from "../ui/form.js";
import { Dialog, toast } from "../ui/overlays.js";

export function SecondFactor() {
  const [open, setOpen] = useState("");
  const on = user.value?.has_second_factor;
  return html`<${Card} title="Second factor" actions=${on ? html`<${Badge} kind="good" icon="shield">on<//>` : html`<${Badge} icon="minus">off<//>`}>
      <div class="stack">
        <p class="soft">${on ? "Signing in asks for a code of your authenticator as well." : "With a code of an authenticator, a stolen password alone opens nothing."}</p>
        <div>${on ? html`<${Button} kind="danger" onClick=${() => setOpen("off")}>Turn off<//>` : html`<${Button} kind="primary" icon="shield" onClick=${() => setOpen("on")}>Turn on<//>`}</div>
      </div>
    <//>
    ${open === "on" && html`<${Enrol} onClose=${() => setOpen("")} />`}${open === "off" && html`<${TurnOff} onClose=${() => setOpen("")} />`}`;
}

/** @param {{onClose: () => void}} properties */
function Enrol({ onClose }) {
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const [secret, setSecret] = useState(/** @type {any} */ (null));
  const [codes, setCodes] = useState(/** @type {string[]} */ ([]));
  const { error, go } = useForm(async () => {
    if (secret === null) return setSecret(await post("/auth/second-factor", { password }));
    setCodes((await post("/auth/second-factor/confirm", { code: code.trim() })).recovery_codes);
    return refreshUser();
  });
  if (codes.length > 0) {
    return html`<${Dialog} title="Recovery codes" onClose=${onClose} foot=${html`<${Button} kind="primary" onClick=${onClose}>I have kept them<//>`}>
      <${Notice} kind="warn" icon="alert">They are shown now and never again. Each lets you in once, without the authenticator.<//>
      <div class="row"><pre class="formula grow" tabindex="0" aria-label="Recovery codes">${codes.join("\n")}</pre><${Copy} text=${codes.join("\n")} label="Copy the codes" /></div>
    <//>`;
  }
  return html`<${Dialog} title="Turn on the second factor" onClose=${onClose} onSubmit=${go} foot=${html`<${Button} onClick=${onClose}>Cancel<//><${Button} type="submit" kind="primary">${secret ? "Turn on" : "Go on"}<//>`}>
    <${Refusal} error=${error} />
    ${secret === null
      ? html`<${TextField} key="password" label="Password" type="password" autocomplete="current-password" autofocus value=${password} onInput=${setPassword} />`
      : html`<p class="soft">Add this secret to your authenticator, or <a href=${secret.uri}>open it there</a>. Then type the code that it shows.</p>
          <div class="row"><code class="formula grow wrap-any">${secret.secret}</code><${Copy} text=${secret.secret} label="Copy the secret" /></div>
          <${TextField} key="code" label="Code" inputmode="numeric" autocomplete="one-time-code" autofocus value=${code} onInput=${setCode} />`}
  <//>`;
}

/** @param {{onClose: () => void}} properties */
function TurnOff({ onClose }) {
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const { error, go } = useForm(async () => {
    await post("/auth/second-factor/disable", { password, code: code.trim() });
    await refreshUser();
    toast("The second factor is off", "good");
    onClose();
  });
  return html`<${Dialog} title="Turn off the second factor" onClose=${onClose} onSubmit=${go} foot=${html`<${Button} onClick=${onClose}>Cancel<//><${Button} type="submit" kind="danger solid">Turn off<//>`}>
    <${Refusal} error=${error} />
    <${TextField} label="Password" type="password" autocomplete="current-password" autofocus value=${password} onInput=${setPassword} />
    <${TextField} label="Code, or a recovery code" autocomplete="one-time-code" value=${code} onInput=${setCode} />
  <//>`;
}

export function Password() {
  const [current, setCurrent] = useState("");
  const [next, setNext] = useState("");
  const { error, go } = useForm(async () => {
    await put("/auth/password", { current_password: current, new_password: next });
    setCurrent("");
    setNext("");
    toast("The password is changed; all other sessions have ended", "good");
  });
  return html`<${Card} title="Password">
    <form class="stack" onSubmit=${go} novalidate>
      ${error && !error.of("new_password") && html`<${Refusal} error=${error} />`}
      <input type="text" name="username" autocomplete="username" value=${user.value?.email} hidden readonly />
      <${TextField} label="Current password" type="password" autocomplete="current-password" value=${current} onInput=${setCurrent} />
      <${TextField} label="New password" type="password" autocomplete="new-password" hint="At least 8 characters; a sentence is best." value=${next} onInput=${setNext} problem=${error?.of("new_password")} />
      <div><${Button} type="submit" kind="primary" disabled=${!current || !next}>Change password<//></div>
    </form>
  <//>`;
}
