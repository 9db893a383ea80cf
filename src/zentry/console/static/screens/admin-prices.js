// For administrators: what things will cost, and codes that are worth credit.
import { path, post, remove } from "../core/api.js";
import { date, dateTime, money, number } from "../core/format.js";
import { invalidate, useResource } from "../core/resource.js";
import { html, useState } from "../core/view.js";
import { Badge, Button, Card, curl, Empty, Loaded, Notice, TextField } from "../ui/basics.js";
import { FormDialog } from "../ui/form.js";
import { attempt, confirm, Menu, toast } from "../ui/overlays.js";
import { Prices } from "./prices.js";
import { Secret } from "./sessions.js";

const DAY_MS = 86_400_000;
const NOTICE_DAYS = 3;
/** @type {[string, string][]} */
const FEES = [["vm_create", "Creating a machine"], ["storage", "Storage, per GiB and hour"], ["address", "Address, per hour"], ["snapshot", "Snapshot, per GiB and hour"]];

export function PriceLists() {
  const found = useResource("/billing/price-lists");
  const [announcing, setAnnouncing] = useState(false);
  const coming = (found.data?.price_lists ?? []).filter((/** @type {any} */ one) => Date.parse(one.effective_at) > Date.now()).sort((/** @type {any} */ a, /** @type {any} */ b) => b.version - a.version)[0];
  const withdraw = async () => {
    if (!(await confirm({ title: `Withdraw price list ${coming.version}?`, text: `It was to hold from ${dateTime(coming.effective_at)} on.`, verb: "Withdraw", typed: `list ${coming.version}` }))) return;
    await attempt(() => remove(path`/admin/price-lists/${coming.version}`), "The list is withdrawn");
    await invalidate("/billing");
  };
  return html`<div class="row wrap end">${coming && html`<${Button} kind="danger" onClick=${withdraw}>Withdraw list ${coming.version}<//>`}<${Button} kind="primary" icon="plus" onClick=${() => setAnnouncing(true)}>Announce prices<//></div>
    <${Prices} />
    <${Vouchers} />
    ${announcing && html`<${Announce} onClose=${() => setAnnouncing(false)} />`}`;
}

/** @param {{onClose: () => void}} properties */
function Announce({ onClose }) {
  const types = useResource("/instance-types").data ?? [];
  const [day, setDay] = useState(new Date(Date.now() + NOTICE_DAYS * DAY_MS).toISOString().slice(0, 10));
  const [wanted, setWanted] = useState(/** @type {Record<string, string>} */ ({}));
  const set = (/** @type {string} */ name) => (/** @type {string} */ value) => setWanted({ ...wanted, [name]: value });
  const given = (/** @type {string} */ name) => (wanted[name] ?? "").trim() !== "";
  const sizes = types.filter((/** @type {any} */ one) => given(`type ${one.name}`));
  const fees = FEES.filter(([name]) => given(name));
  const does = async () => {
    await post("/admin/price-lists", { effective_at: `${day}T00:00:00Z`, ...(sizes.length > 0 ? { instance_types: sizes.map((/** @type {any} */ one) => ({ instance_type: one.name, price: Number(wanted[`type ${one.name}`]) })) } : {}), ...Object.fromEntries(fees.map(([name]) => [name, Number(wanted[name])])) });
    toast("The prices are announced", "good");
    void invalidate("/billing");
  };
  return html`<${FormDialog} title="Announce prices" verb="Announce" large onClose=${onClose} does=${does} ready=${sizes.length + fees.length > 0} fields=${["effective_at"]}>
    ${(/** @type {any} */ error) => html`<p class="soft">What is left empty stays as it is. Credit is held ahead, so a list has to be known some days before.</p>
      <${TextField} label="From the beginning of (UTC)" type="date" value=${day} onInput=${setDay} problem=${error?.of("effective_at")} />
      <fieldset class="stack tight"><legend class="field-label">Sizes, per hour</legend><div class="grid">${types.map((/** @type {any} */ one) => html`<${TextField} key=${one.name} label=${one.name} hint=${`now ${money(one.price_per_hour)}`} inputmode="decimal" value=${wanted[`type ${one.name}`] ?? ""} onInput=${set(`type ${one.name}`)} />`)}</div></fieldset>
      <fieldset class="stack tight"><legend class="field-label">Besides</legend><div class="grid">${FEES.map(([name, label]) => html`<${TextField} key=${name} label=${label} inputmode="decimal" value=${wanted[name] ?? ""} onInput=${set(name)} problem=${error?.of(name)} />`)}</div></fieldset>`}
  <//>`;
}

function Vouchers() {
  const found = useResource("/admin/vouchers?limit=100", { every: 60 });
  const [making, setMaking] = useState(false);
  const [made, setMade] = useState(/** @type {any} */ (null));
  const withdraw = async (/** @type {any} */ voucher) => {
    if (!(await confirm({ title: `Withdraw the voucher ${voucher.hint}?`, text: "Nobody can redeem it any more. What was redeemed stays.", verb: "Withdraw" }))) return;
    await attempt(() => remove(path`/admin/vouchers/${voucher.id}`), "The voucher is withdrawn");
    await invalidate("/admin/vouchers");
  };
  return html`<${Card} title="Vouchers" pad=${false} actions=${html`<${Button} icon="plus" onClick=${() => setMaking(true)}>Make voucher<//>`}>
      <${Loaded} of=${found}>
        ${(/** @type {any} */ data) =>
          data.vouchers.length === 0
            ? html`<${Empty} icon="gift" title="No vouchers" command=${curl("POST", "/admin/vouchers", { amount: 10, max_redemptions: 100, reason: "Course in spring" })}>A voucher is a code that is worth credit, once for each account. The code is shown when it is made and kept nowhere.<//>`
            : html`<ul class="lines">${data.vouchers.map((/** @type {any} */ one) => html`<li key=${one.id}>
                <span class="grow"><span class="strong mono">${one.hint}</span> <span class="wrap-any">${one.reason}</span><br /><span class="small faint">${number(one.redemptions)} of ${number(one.max_redemptions)} redeemed${one.expires_at ? `, until ${date(one.expires_at)}` : ""}</span></span>
                <span class="number">${money(one.amount)}</span>
                ${one.withdrawn_at ? html`<${Badge} icon="minus">withdrawn<//>` : html`<${Menu} label=${`Actions for ${one.hint}`} items=${[{ icon: "trash", label: "Withdraw", danger: true, does: () => void withdraw(one) }]} />`}
              </li>`)}</ul>`}
      <//>
    <//>
    ${making && html`<${MakeVoucher} onClose=${() => setMaking(false)} onMade=${setMade} />`}
    ${made && html`<${Secret} made=${made} onClose=${() => setMade(null)} />`}`;
}

/** @param {{onClose: () => void, onMade: (made: any) => void}} properties */
function MakeVoucher({ onClose, onMade }) {
  const [amount, setAmount] = useState("10");
  const [times, setTimes] = useState("1");
  const [day, setDay] = useState("");
  const [reason, setReason] = useState("");
  const does = async () => {
    const voucher = await post("/admin/vouchers", { amount: Number(amount), max_redemptions: Number(times), ...(day ? { expires_at: `${day}T00:00:00Z` } : {}), reason });
    onMade({ name: "the voucher", secret: voucher.code });
    void invalidate("/admin/vouchers");
  };
  return html`<${FormDialog} title="Make a voucher" verb="Make voucher" onClose=${onClose} does=${does} ready=${Number(amount) > 0 && Number(times) >= 1 && reason.trim() !== ""} fields=${["amount", "max_redemptions", "expires_at", "reason"]}>
    ${(/** @type {any} */ error) => html`<div class="grid"><${TextField} label="Worth" inputmode="decimal" autofocus value=${amount} onInput=${setAmount} problem=${error?.of("amount")} /><${TextField} label="For how many accounts" inputmode="numeric" value=${times} onInput=${setTimes} problem=${error?.of("max_redemptions")} /></div>
      <${TextField} label="Until the beginning of (UTC)" hint="empty: it does not end" type="date" value=${day} onInput=${setDay} problem=${error?.of("expires_at")} />
      <${TextField} label="Reason" hint="It is written on the bills of those who redeem it." value=${reason} onInput=${setReason} problem=${error?.of("reason")} />
      <${Notice}>The code is shown once, when it is made.<//>`}
  <//>`;
}
