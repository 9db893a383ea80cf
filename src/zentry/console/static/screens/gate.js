// Sign-up, login, and signing in again without losing what is on screen.
import { ApiError, post } from "../core/api.js";
import { Icon } from "../core/icons.js";
import { currentPath, link, navigate } from "../core/router.js";
import { abandon, enter, user } from "../core/session.js";
import { html, useEffect, useState } from "../core/view.js";
import { Button, TextField } from "../ui/basics.js";
import { Dialog } from "../ui/overlays.js";
import { Logo } from "../ui/shell.js";

const PITCH = [
  ["bolt", "Running in seconds", "Pick a size and an image; the price, the month and the day your credit ends stand beside the button."],
  ["shield", "Nothing beyond your credit", "Credit is held before a machine runs. The balance cannot go below zero, and every line of the bill explains itself."],
  ["terminal", "One API for all of it", "Whatever you see here is a request that you can send yourself: to script it, copy the command."],
];

export default function Gate() {
  const isNew = currentPath.value === "/sign-up";
  useEffect(() => {
    document.title = `${isNew ? "Create an account" : "Sign in"} · Zentry Cloud`;
  }, [isNew]);
  return html`<div class="gate">
    <main class="panel">
      <div>
        <span class="brand"><${Logo} />Zentry Cloud</span>
        ${isNew ? html`<${SignUp} key="up" />` : html`<${SignIn} key="in" />`}
      </div>
    </main>
    <aside class="pitch" aria-label="What this is">
      <h2>Machines that start at once and a bill without surprises.</h2>
      <ul>
        ${PITCH.map(([icon, title, text]) => html`<li><${Icon} name=${icon} /><div><h3>${title}</h3><p class="soft">${text}</p></div></li>`)}
      </ul>
    </aside>
  </div>`;
}

/** What a form of sign-up or login has in common. @param {string} path @param {() => unknown} body */
function useGate(path, body) {
  const [error, setError] = useState(/** @type {ApiError | null} */ (null));
  const [busy, setBusy] = useState(false);
  const submit = async (/** @type {Event | undefined} */ event) => {
    event?.preventDefault();
    setBusy(true);
    setError(null);
    try {
      enter(await post(path, body(), { open: true }));
      return true;
    } catch (failure) {
      if (!(failure instanceof ApiError)) throw failure;
      setError(failure);
    } finally {
      setBusy(false);
    }
    return false;
  };
  return { error, busy, submit };
}

/** @param {{error: ApiError | null}} properties */
const Problem = ({ error }) => error && html`<div class="notice bad" role="alert"><${Icon} name="alert" /><span>${error.message}</span></div>`;

function SignIn() {
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const { error, busy, submit } = useGate("/auth/login", () => ({ email, password }));
  return html`<div class="stack tight"><h1>Sign in</h1><p class="soft">Welcome back.</p></div>
    <form class="stack" onSubmit=${submit} novalidate>
      <${Problem} error=${error} />
      <${TextField} label="E-mail" type="email" name="email" autocomplete="username" autofocus value=${email} onInput=${setEmail} required problem=${error?.of("email")} />
      <${TextField} label="Password" type="password" name="password" autocomplete="current-password" value=${password} onInput=${setPassword} required problem=${error?.of("password")} />
      <${Button} type="submit" kind="primary block" busy=${busy} icon=${busy ? "busy" : undefined}>Sign in<//>
    </form>
    <p class="soft">New here? <a href=${link("/sign-up")}>Create an account</a></p>`;
}

function SignUp() {
  const [name, setName] = useState("");
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const { error, busy, submit } = useGate("/auth/signup", () => ({ name, email, password }));
  const go = async (/** @type {Event} */ event) => (await submit(event)) && navigate("/", { replace: true });
  return html`<div class="stack tight"><h1>Create an account</h1><p class="soft">It comes with credit to start your first machines.</p></div>
    <form class="stack" onSubmit=${go} novalidate>
      <${Problem} error=${error} />
      <${TextField} label="Name" name="name" autocomplete="name" autofocus value=${name} onInput=${setName} required problem=${error?.of("name")} />
      <${TextField} label="E-mail" type="email" name="email" autocomplete="email" value=${email} onInput=${setEmail} required problem=${error?.of("email")} />
      <${TextField} label="Password" type="password" name="password" autocomplete="new-password" hint="At least 8 characters; a sentence is best." value=${password} onInput=${setPassword} required problem=${error?.of("password")} />
      <${Button} type="submit" kind="primary block" busy=${busy} icon=${busy ? "busy" : undefined}>Create account<//>
    </form>
    <p class="soft">Have an account? <a href=${link("/")}>Sign in</a></p>`;
}

/** The session has ended while somebody was at work: sign in again on top of it, and it goes on. */
export function Again() {
  const [password, setPassword] = useState("");
  const [email, setEmail] = useState(user.value?.email ?? "");
  const { error, busy, submit } = useGate("/auth/login", () => ({ email, password }));
  return html`<${Dialog}
    title="Sign in again"
    fixed
    onClose=${abandon}
    onSubmit=${submit}
    foot=${html`<${Button} onClick=${abandon}>Leave<//><${Button} type="submit" kind="primary" busy=${busy} icon=${busy ? "busy" : undefined}>Go on<//>`}
  >
    <p class="soft">Your session has ended. What you were doing is still here and goes on when you have signed in.</p>
    <${Problem} error=${error} />
    <${TextField} label="E-mail" type="email" autocomplete="username" value=${email} onInput=${setEmail} required />
    <${TextField} label="Password" type="password" autocomplete="current-password" autofocus value=${password} onInput=${setPassword} required />
  <//>`;
}
