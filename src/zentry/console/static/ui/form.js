// Forms: what the server refuses is said at the field that it is about, or above all of them.
import { ApiError } from "../core/api.js";
import { html, useEffect, useRef, useState } from "../core/view.js";
import { Bones, Button, Notice, Trouble } from "./basics.js";
import { Dialog } from "./overlays.js";

/** A form whose refusals are kept to be shown; one that is on its way is not sent twice. @param {() => Promise<unknown>} does */
export function useForm(does) {
  const [error, setError] = useState(/** @type {ApiError | null} */ (null));
  const [busy, setBusy] = useState(false);
  const here = useRef(true);
  useEffect(() => () => void (here.current = false), []);
  const go = async (/** @type {Event | undefined} */ event) => {
    event?.preventDefault();
    if (busy) return;
    setBusy(true);
    try {
      await does();
      if (here.current) setError(null);
    } catch (failure) {
      if (!(failure instanceof ApiError)) throw failure;
      if (here.current) setError(failure);
    } finally {
      if (here.current) setBusy(false);
    }
  };
  return { error, busy, go };
}

/** @param {{error: ApiError | null}} properties */
export const Refusal = ({ error }) => error && html`<${Notice} kind="bad" icon="alert">${error.message}<//>`;

/**
 * A dialog that sends something and closes when it is done. `children(error)` draws the fields; a refusal that is about
 * one of `fields` is theirs to show.
 * @param {{title: any, verb: string, kind?: string, onClose: () => void, does: () => Promise<unknown>, fields?: string[], ready?: boolean, large?: boolean, note?: any, children: (error: ApiError | null) => any}} properties
 */
export function FormDialog({ title, verb, kind = "primary", onClose, does, fields = [], ready = true, large = false, note, children }) {
  const { error, busy, go } = useForm(async () => {
    await does();
    onClose();
  });
  const isTold = error !== null && fields.some((name) => error.of(name));
  return html`<${Dialog} title=${title} large=${large} onClose=${onClose} onSubmit=${() => ready && void go(undefined)}
    foot=${html`${note && html`<span class="grow small faint">${note}</span>`}<${Button} onClick=${onClose}>Cancel<//><${Button} type="submit" kind=${kind} busy=${busy} icon=${busy ? "busy" : undefined} disabled=${!ready}>${verb}<//>`}>
    ${!isTold && html`<${Refusal} error=${error} />`}
    ${children(error)}
  <//>`;
}

/** A part of a screen whose module is fetched when it is first shown. @param {() => Promise<any>} load @param {string} name */
export function lazy(load, name) {
  /** @type {any} */
  let Part = null;
  return function Lazy(/** @type {any} */ properties) {
    const [error, setError] = useState(/** @type {any} */ (null));
    const [, setShown] = useState(Part !== null);
    useEffect(() => {
      if (Part !== null) return;
      void load().then((module) => {
        Part = module[name];
        setShown(true);
      }, setError);
    }, []);
    if (error) return html`<${Trouble} error=${error} again=${() => location.reload()} />`;
    return Part ? html`<${Part} ...${properties} />` : html`<${Bones} lines=${6} />`;
  };
}
