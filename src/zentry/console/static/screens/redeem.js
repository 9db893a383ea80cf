// A code that is worth credit.
import { post } from "../core/api.js";
import { money } from "../core/format.js";
import { invalidate } from "../core/resource.js";
import { html, useState } from "../core/view.js";
import { TextField } from "../ui/basics.js";
import { FormDialog } from "../ui/form.js";
import { toast } from "../ui/overlays.js";

/** @param {{onClose: () => void}} properties */
export function Redeem({ onClose }) {
  const [code, setCode] = useState("");
  const does = async () => {
    const done = await post("/billing/vouchers/redeem", { voucher_code: code.trim() });
    toast(`${money(done.amount)} added; the balance is ${money(done.balance)}`, "good");
    void invalidate("/billing");
  };
  return html`<${FormDialog} title="Redeem a voucher" verb="Redeem" onClose=${onClose} does=${does} ready=${code.trim() !== ""} fields=${["voucher_code"]}>
    ${(/** @type {any} */ error) => html`<${TextField} label="Code" autofocus autocomplete="off" spellcheck="false" hint="Each account redeems a voucher once." value=${code} onInput=${setCode} problem=${error?.of("voucher_code")} />`}
  <//>`;
}
