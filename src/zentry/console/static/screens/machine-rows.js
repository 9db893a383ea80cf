// The rows of the list. However many machines there are, only those in sight are in the document.
import { wordsOf } from "../core/fleet-words.js";
import { money } from "../core/format.js";
import { Icon } from "../core/icons.js";
import { link } from "../core/router.js";
import { html, useCallback, useEffect, useLayoutEffect, useRef, useState } from "../core/view.js";
import { MachineState, Time } from "../ui/basics.js";
import { MachineMenu } from "./machine-actions.js";

/** @typedef {import("../core/fleet.js").Machine} Machine */

const ALL_AT_ONCE = 50;
const BEYOND = 8;
const MOST_ROWS = 60;
const MOST_MEMORY_MIB = 2 ** 30;

/** Columns, and by what each is sorted. @type {{id: string, title: string, style: string, key: (vm: Machine) => string | number, isReversed?: boolean}[]} */
export const COLUMNS = [
  { id: "name", title: "Name", style: "", key: (vm) => wordsOf(vm).name },
  { id: "status", title: "State", style: "", key: (vm) => vm.status },
  { id: "type", title: "Type", style: "desk-only", key: (vm) => vm.vcpus * MOST_MEMORY_MIB + vm.memory_mib },
  { id: "project", title: "Project", style: "desk-only", key: (vm) => wordsOf(vm).project },
  { id: "address", title: "Address", style: "desk-only wide-only", key: (vm) => wordsOf(vm).address },
  { id: "cost", title: "Per hour", style: "desk-only number right", key: (vm) => vm.cost_per_hour },
  { id: "age", title: "Created", style: "desk-only wide-only", key: (vm) => vm.created_at, isReversed: true },
];

/** Machines in the order that the address names, such as `-cost`. Keys are taken once, not at every comparison. @param {Machine[]} rows @param {string} sort */
export function inOrder(rows, sort) {
  const column = COLUMNS.find((one) => one.id === sort.replace("-", "")) ?? COLUMNS[0];
  const direction = sort.startsWith("-") !== Boolean(column.isReversed) ? -1 : 1;
  const keyed = rows.map((vm) => ({ vm, key: column.key(vm) }));
  keyed.sort((a, b) => (a.key < b.key ? -direction : a.key > b.key ? direction : 0));
  return keyed.map((one) => one.vm);
}

/** @param {{rows: Machine[], chosen: ReadonlySet<string>, choose: (chosen: ReadonlySet<string>) => void, sort: string, onSort: (column: string) => void}} properties */
export function Rows({ rows, chosen, choose, sort, onSort }) {
  const scroller = useRef(/** @type {HTMLElement | null} */ (null));
  const few = rows.length <= ALL_AT_ONCE;
  const { first, last, height } = useWindow(scroller, rows.length, few);
  const latest = useRef(chosen);
  latest.current = chosen;
  const toggle = useCallback((/** @type {string} */ id) => {
    const next = new Set(latest.current);
    if (!next.delete(id)) next.add(id);
    choose(next);
  }, []);
  /** Of many, a row that leaves sight lends its elements to one that comes in, and one that stays as it is is not drawn again. */
  const slots = useRef(/** @type {Map<number, {vm: Machine, top: number, isChosen: boolean, node: any}>} */ (new Map()));
  const draw = (/** @type {Machine} */ vm, /** @type {number} */ at) => {
    const [top, isChosen, slot] = [at * height, chosen.has(vm.id), at % MOST_ROWS];
    const before = slots.current.get(slot);
    if (!few && before?.vm === vm && before.top === top && before.isChosen === isChosen) return before.node;
    const node = html`<${Row} key=${few ? vm.id : slot} vm=${vm} at=${at} top=${top} chosen=${isChosen} toggle=${toggle} />`;
    if (!few) slots.current.set(slot, { vm, top, isChosen, node });
    return node;
  };
  const every = rows.length > 0 && rows.every((vm) => chosen.has(vm.id));
  const column = sort.replace("-", "");
  const direction = sort.startsWith("-") ? "descending" : "ascending";
  return html`<div class="grid-table" role="table" aria-label="Machines" aria-rowcount=${rows.length + 1}>
    <div role="rowgroup"><div class="grid-head" role="row" aria-rowindex="1">
      <span role="columnheader"><input type="checkbox" class="tick" aria-label="Choose all" checked=${every} onChange=${() => choose(every ? new Set() : new Set(rows.map((vm) => vm.id)))} /></span>
      ${COLUMNS.map(
        (one) => html`<span role="columnheader" key=${one.id} class=${one.style} aria-sort=${one.id === column ? direction : undefined}>
          <button type="button" class="sorter" onClick=${() => onSort(one.id)}>${one.title}${one.id === column && html`<${Icon} name=${direction === "ascending" ? "up" : "down"} />`}</button>
        </span>`,
      )}
      <span role="columnheader"><span class="visually-hidden">Actions</span></span>
    </div></div>
    <div class="grid-scroll ${few ? "short" : ""}" ref=${scroller} role="presentation">
      <div class="grid-space" role="rowgroup" style=${{ height: `${rows.length * height}px` }}>
        ${rows.slice(first, last).map((vm, index) => draw(vm, first + index))}
      </div>
    </div>
  </div>`;
}

/** @param {{vm: Machine, at: number, top: number, chosen: boolean, toggle: (id: string) => void}} properties */
function Row({ vm, at, top, chosen, toggle }) {
  const labels = Object.entries(vm.labels);
  return html`<div class="grid-row ${chosen ? "selected" : ""}" role="row" aria-rowindex=${at + 2} style=${{ top: `${top}px` }} data-machine=${vm.name}>
    <span role="cell"><input type="checkbox" class="tick" aria-label=${`Choose ${vm.name}`} checked=${chosen} onChange=${() => toggle(vm.id)} /></span>
    <span role="cell" class="name">
      <span class="row"><a class="truncate" href=${link(`/machines/${vm.id}`)}>${vm.name}</a>${vm.delete_protection && html`<span class="faint"><${Icon} name="lock" label="protected against deletion" /></span>`}</span>
      <small class="truncate">${labels.length > 0 ? labels.map(([name, value]) => (value ? `${name}=${value}` : name)).join("  ") : vm.image}</small>
    </span>
    <span role="cell"><${MachineState} vm=${vm} /></span>
    <span role="cell" class="desk-only truncate">${vm.instance_type}</span>
    <span role="cell" class="desk-only truncate">${vm.project_name}</span>
    <span role="cell" class="desk-only wide-only mono truncate">${vm.ip_address ?? "–"}</span>
    <span role="cell" class="desk-only number right">${money(vm.cost_per_hour)}</span>
    <span role="cell" class="desk-only wide-only faint"><${Time} at=${vm.created_at} /></span>
    <span role="cell"><${MachineMenu} vm=${vm} /></span>
  </div>`;
}

/** Which rows are in sight, and how high one is. @param {{current: HTMLElement | null}} scroller @param {number} count @param {boolean} few */
function useWindow(scroller, count, few) {
  const [sight, setSight] = useState({ first: 0, last: Math.min(count, MOST_ROWS), height: 44 });
  const measure = useCallback(() => {
    const box = scroller.current;
    if (box === null) return;
    const height = rowHeight(box);
    const first = few ? 0 : Math.max(0, Math.floor(box.scrollTop / height) - BEYOND);
    const last = few ? count : Math.min(count, first + Math.min(MOST_ROWS, Math.ceil(box.clientHeight / height) + 2 * BEYOND));
    setSight((before) => (before.first === first && before.last === last && before.height === height ? before : { first, last, height }));
  }, [count, few]);
  useLayoutEffect(measure, [measure]);
  useEffect(() => {
    const box = scroller.current;
    if (box === null) return undefined;
    let asked = 0;
    const later = () => {
      asked ||= requestAnimationFrame(() => {
        asked = 0;
        measure();
      });
    };
    box.addEventListener("scroll", later, { passive: true });
    const watch = new ResizeObserver(later);
    watch.observe(box);
    return () => {
      cancelAnimationFrame(asked);
      box.removeEventListener("scroll", later);
      watch.disconnect();
    };
  }, [measure]);
  return sight;
}

/** @param {HTMLElement} box */
function rowHeight(box) {
  const row = /** @type {HTMLElement | null} */ (box.querySelector(".grid-row"));
  return row?.offsetHeight || 44;
}
