// The machines of the account, and what may be done with them. Every screen that shows one shows the same one.
import { signal } from "@preact/signals";
import { ApiError, get, newKey, path, post, remove, request } from "./api.js";
import { wordsOf } from "./fleet-words.js";
import { amend, invalidate } from "./resource.js";
import { state as session } from "./session.js";

/** @typedef {import("./api.js").Schemas["VMResponse"]} Machine */

const PAGE = 500;
const MOST = 20_000;
const AT_ONCE = 4;
const WAIT_SECONDS = 2;
const PATIENCE_MS = 120_000;

/** @type {import("@preact/signals").Signal<Machine[] | undefined>} */
export const machines = signal(undefined);
export const total = signal(0);
/** @type {import("@preact/signals").Signal<ApiError | null>} */
export const trouble = signal(null);
/** How many pages the account fills: one is read again often, many are not. */
export const pages = signal(0);

/** @type {Map<string, Promise<Machine | null>>} */
const following = new Map();
let reading = 0;

session.subscribe((now) => {
  if (now === "out") machines.value = undefined;
});

/** Read all machines, page by page; the first page shows as soon as it is here. @param {{firstOnly?: boolean}} [how] */
export async function readFleet({ firstOnly = false } = {}) {
  const mine = ++reading;
  /** @type {Machine[]} */
  let all = [];
  let cursor = "";
  let count = 0;
  try {
    do {
      const page = await get("/vms", { query: { limit: PAGE, cursor } });
      if (mine !== reading) return;
      page.vms.forEach(wordsOf);
      all = all.concat(page.vms);
      count += 1;
      total.value = page.total_count;
      cursor = page.next_cursor ?? "";
      if (count === 1) show(all, firstOnly || Boolean(cursor));
    } while (cursor && !firstOnly && all.length < MOST);
    if (!firstOnly) {
      pages.value = count;
      if (count > 1) show(all, false);
    }
    trouble.value = null;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (mine === reading) trouble.value = error;
  }
}

/** Show what was read; machines that are as they were stay the same objects, and nothing is drawn for them. @param {Machine[]} read @param {boolean} isPart */
function show(read, isPart) {
  const before = machines.peek();
  const fresh = new Map(read.map((vm) => [vm.id, vm]));
  let changes = before === undefined || (!isPart && before.length !== read.length);
  const kept = (before ?? []).flatMap((vm) => {
    const next = fresh.get(vm.id);
    fresh.delete(vm.id);
    if (next === undefined) {
      changes ||= !isPart;
      return isPart ? [vm] : [];
    }
    if (isAsShown(vm, next)) return [vm];
    changes = true;
    return [next];
  });
  if (changes || fresh.size > 0) machines.value = [...fresh.values(), ...kept];
  for (const vm of read) if (vm.active_operation) void settle(vm.id);
}

/** @param {Machine} shown @param {Machine} read */
const isAsShown = (shown, read) =>
  shown.updated_at === read.updated_at && shown.status === read.status && shown.name === read.name && shown.ip_address === read.ip_address && shown.project_name === read.project_name && shown.active_operation?.id === read.active_operation?.id && shown.active_operation?.progress === read.active_operation?.progress;

/** Put a machine where it is shown. @param {Machine} vm */
export function place(vm) {
  amend(`/vms/${vm.id}`, () => vm);
  const before = machines.peek();
  if (before === undefined) return;
  const at = before.findIndex((one) => one.id === vm.id);
  machines.value = at < 0 ? [vm, ...before] : before.with(at, vm);
}

/** @param {string} id @returns {Promise<Machine | null>} */
export async function readMachine(id) {
  try {
    const vm = await get(path`/vms/${id}`);
    place(vm);
    return vm;
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) {
      machines.value = machines.peek()?.filter((one) => one.id !== id);
      return null;
    }
    throw error;
  }
}

/** Follow a machine until nothing is under way with it. @param {string} id @returns {Promise<Machine | null>} */
export function settle(id) {
  const known = following.get(id);
  if (known !== undefined) return known;
  const follow = followNow(id).finally(() => following.delete(id));
  following.set(id, follow);
  return follow;
}

/** @param {string} id */
async function followNow(id) {
  const until = Date.now() + PATIENCE_MS;
  let vm = null;
  try {
    do {
      vm = await readMachine(id);
      if (!vm?.active_operation) break;
      await request("GET", path`/operations/${vm.active_operation.id}`, { query: { wait: WAIT_SECONDS } });
    } while (Date.now() < until);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
  }
  void invalidate("/billing", "/monitoring/dashboard", `/vms/${id}/`, "/operations", "/health/audit", "/events", "/projects", "/quotas");
  return vm;
}

/** @param {import("./api.js").Schemas["VMCreate"]} wish @param {string} key @returns {Promise<Machine>} */
export async function create(wish, key) {
  const vm = await post("/vms", wish, { key });
  place(vm);
  total.value += 1;
  void settle(vm.id);
  return vm;
}

/** @typedef {"start" | "stop" | "restart" | "delete"} Verb */

/** Which verbs a machine takes now. @param {Machine} vm @returns {Verb[]} */
export function verbs(vm) {
  if (vm.status === "terminated") return [];
  if (vm.active_operation) return ["delete"];
  if (vm.status === "running") return ["stop", "restart", "delete"];
  if (vm.status === "stopped") return ["start", "restart", "delete"];
  return vm.status === "error" ? ["start", "stop", "restart", "delete"] : ["delete"];
}

/** Ask for something; the machine shows at once that it is under way, and what is true as soon as it is known. @param {Machine} vm @param {Verb} verb */
export async function act(vm, verb) {
  const busy = /** @type {Machine} */ ({ ...vm, active_operation: { id: "", kind: `vms.${verb}`, progress: 0 } });
  place(busy);
  try {
    if (verb === "delete") await remove(path`/vms/${vm.id}`, { key: newKey() });
    else await post(path`/vms/${vm.id}/${verb}`);
  } catch (error) {
    place(vm);
    throw error;
  }
  await settle(vm.id);
}

/** Ask the same of many, a few at a time; returns what was refused. @param {Machine[]} chosen @param {(vm: Machine) => Promise<unknown>} does @returns {Promise<{vm: Machine, error: ApiError}[]>} */
export async function each(chosen, does) {
  const queue = [...chosen];
  /** @type {{vm: Machine, error: ApiError}[]} */
  const refused = [];
  const lane = async () => {
    for (let vm = queue.shift(); vm !== undefined; vm = queue.shift()) {
      try {
        await does(vm);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        refused.push({ vm, error });
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  return refused;
}
