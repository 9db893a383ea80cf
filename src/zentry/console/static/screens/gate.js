// Sign-up, login, and signing in again without losing what is on screen.
import { ApiError, post } from "../core/api.js";
import { Icon } from "../core/icons.js";
import { mailed } from "../core/mailed.js";
import { currentPath, link, navigate } from "../core/router.js";
import { abandon, dispel, enter, user } from "../core/session.js";
import { html, useEffect, useState } from "../core/view.js";
import { Button, TextField } from "../ui/basics.js";
import { Dialog, toast } from "../ui/overlays.js";
import { Logo } from "../ui/shell.js";

const PITCH = [
  ["bolt", "Running in seconds", "Pick a size and an image; the price, the month and the day your credit ends stand beside the button."],
  ["shield", "Nothing beyond your credit", "Credit is held before a machine runs. The balance cannot go below zero, and every line of the bill explains itself."],
  ["terminal", "One API for all of it", "Whatever you see here is a request that you can send yourself: to script it, copy the command."],
];

/** @type {Record<string, [string, any]>} */
const FORMS = { "/sign-up": ["Create an account", SignUp], "/forgot-password": ["Forgotten password", Forgot] };

export default function Gate() {
  const [title, Form] = mailed.value?.what === "reset" ? ["Choose a password", Reset] : (FORMS[currentPath.value] ?? ["Sign in", SignIn]);
  useEffect(() => {
    document.title = `${title} · Zentry Cloud`;
  }, [title]);
  return html`<div class="gate">
    <main class="panel">
      <div>
        <span class="brand"><${Logo} />Zentry Cloud</span>
        ${mailed.value?.what === "invitation" && html`<div class="notice" role="status"><${Icon} name="user" /><span>You are invited to a project. Sign in with the address that the mail was sent to, or create an account with it; then you can join.</span></div>`}
        <${Form} key=${title} />
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
  const [challenge, setChallenge] = useState("");
  const [code, setCode] = useState("");
  const submit = async (/** @type {Event | undefined} */ event) => {
    event?.preventDefault();
    setBusy(true);
    try {
      enter(challenge ? await post("/auth/login/second-factor", { challenge, code: code.trim() }, { open: true }) : await post(path, body(), { open: true }));
      return true;
    } catch (failure) {
      if (!(failure instanceof ApiError)) throw failure;
      const asked = failure.code === "SECOND_FACTOR_REQUIRED";
      if (asked) setChallenge(failure.details.challenge);
      else if (failure.code === "INVALID_LINK") setChallenge(""); // The challenge is over: back to the password.
      setError(asked ? null : failure);
    } finally {
      setBusy(false);
    }
    return false;
  };
  return { error, busy, submit, challenge, code, setCode };
}

/** The code that the account asks for beside the password. @param {{gate: ReturnType<typeof useGate>}} properties */
const Code = ({ gate }) => html`<p class="soft">Type the code that your authenticator shows, or a recovery code.</p>
  <${Problem} error=${gate.error} />
  <${TextField} key="code" label="Code" autocomplete="one-time-code" autofocus value=${gate.code} onInput=${gate.setCode} />`;

/** @param {{error: ApiError | null}} properties */
const Problem = ({ error }) => error && html`<div class="notice bad" role="alert"><${Icon} name="alert" /><span>${error.message}</span></div>`;

function SignIn() {
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const gate = useGate("/auth/login", () => ({ email, password }));
  const { error, busy, submit } = gate;
  if (gate.challenge) {
    return html`<h1>Second factor</h1>
      <form class="stack" onSubmit=${submit} novalidate><${Code} gate=${gate} /><${Button} type="submit" kind="primary block" busy=${busy} icon=${busy ? "busy" : undefined}>Sign in<//></form>`;
  }
  return html`<div class="stack tight"><h1>Sign in</h1><p class="soft">Welcome back.</p></div>
    <form class="stack" onSubmit=${submit} novalidate>
      <${Problem} error=${error} />
      <${TextField} label="E-mail" type="email" name="email" autocomplete="username" autofocus value=${email} onInput=${setEmail} required problem=${error?.of("email")} />
      <${TextField} label="Password" type="password" name="password" autocomplete="current-password" value=${password} onInput=${setPassword} required problem=${error?.of("password")} />
      <${Button} type="submit" kind="primary block" busy=${busy} icon=${busy ? "busy" : undefined}>Sign in<//>
    </form>
    <p class="soft">New here? <a href=${link("/sign-up")}>Create an account</a><br /><a href=${link("/forgot-password")}>Forgotten the password?</a></p>`;
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

function Forgot() {
  const [email, setEmail] = useState("");
  const [told, setTold] = useState("");
  const [error, setError] = useState(/** @type {ApiError | null} */ (null));
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    try {
      setTold((await post("/auth/password/forgot", { email }, { open: true })).message);
      setError(null);
    } catch (failure) {
      if (!(failure instanceof ApiError)) throw failure;
      setError(failure);
    }
  };
  return html`<div class="stack tight"><h1>Forgotten password</h1><p class="soft">A link to choose another one comes by mail.</p></div>
    ${told
      ? html`<div class="notice good" role="status"><${Icon} name="check" /><span>${told}</span></div>`
      : html`<form class="stack" onSubmit=${submit} novalidate><${Problem} error=${error} /><${TextField} label="E-mail" type="email" autocomplete="username" autofocus value=${email} onInput=${setEmail} problem=${error?.of("email")} /><${Button} type="submit" kind="primary block">Send the link<//></form>`}
    <p class="soft"><a href=${link("/")}>Back to sign in</a></p>`;
}

/** A link from a mail has led here: choose another password. */
function Reset() {
  const [password, setPassword] = useState("");
  const [error, setError] = useState(/** @type {ApiError | null} */ (null));
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    try {
      const done = await post("/auth/password/reset", { token: mailed.value?.token, new_password: password }, { open: true });
      mailed.value = null;
      toast(done.message, "good");
      navigate("/", { replace: true });
    } catch (failure) {
      if (!(failure instanceof ApiError)) throw failure;
      setError(failure);
    }
  };
  return html`<h1>Choose a password</h1>
    <form class="stack" onSubmit=${submit} novalidate>
      ${error && !error.of("new_password") && html`<${Problem} error=${error} />`}
      <${TextField} label="New password" type="password" autocomplete="new-password" autofocus hint="At least 8 characters; a sentence is best." value=${password} onInput=${setPassword} problem=${error?.of("new_password")} />
      <${Button} type="submit" kind="primary block">Set password<//>
    </form>
    <p class="soft"><a href=${link("/")} onClick=${() => (mailed.value = null)}>Back to sign in</a></p>`;
}

/** The session has ended while somebody was at work: sign in again on top of it, and it goes on. */
export function Again() {
  const [password, setPassword] = useState("");
  const [email, setEmail] = useState(user.value?.email ?? "");
  const gate = useGate("/auth/login", () => ({ email, password }));
  const { error, busy, submit } = gate;
  return html`<${Dialog}
    title="Sign in again"
    fixed
    onClose=${abandon}
    onSubmit=${submit}
    foot=${html`<${Button} onClick=${abandon}>Leave<//><${Button} type="submit" kind="primary" busy=${busy} icon=${busy ? "busy" : undefined}>Go on<//>`}
  >
    <p class="soft">Your session has ended. What you were doing is still here and goes on when you have signed in.</p>
    ${gate.challenge
      ? html`<${Code} gate=${gate} />`
      : html`<${Problem} error=${error} />
          <${TextField} label="E-mail" type="email" autocomplete="username" value=${email} onInput=${setEmail} required />
          <${TextField} label="Password" type="password" autocomplete="current-password" autofocus value=${password} onInput=${setPassword} required />`}
  <//>`;
}

/** What was asked for gives power away: the password once more, and it goes on. */
export function Prove() {
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const [error, setError] = useState(/** @type {ApiError | null} */ (null));
  const leave = () => dispel(false);
  const submit = async () => {
    try {
      await post("/auth/reauthenticate", { password, ...(code.trim() ? { code: code.trim() } : {}) });
      dispel(true);
    } catch (failure) {
      if (!(failure instanceof ApiError)) throw failure;
      setError(failure);
    }
  };
  return html`<${Dialog} title="Is it you?" onClose=${leave} onSubmit=${submit} foot=${html`<${Button} onClick=${leave}>Cancel<//><${Button} type="submit" kind="primary">Go on<//>`}>
    <p class="soft">You have signed in a while ago, and this gives power away. Type your password; then it goes on.</p>
    <${Problem} error=${error} />
    <${TextField} label="Password" type="password" autocomplete="current-password" autofocus value=${password} onInput=${setPassword} required />
    ${user.value?.has_second_factor && html`<${TextField} label="Code, or a recovery code" autocomplete="one-time-code" value=${code} onInput=${setCode} />`}
  <//>`;
}
