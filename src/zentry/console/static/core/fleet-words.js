// Words by which a machine is sorted and found. They are made once for each, while pages of machines come in, so that ten
// thousand of them are sorted within a frame or two.

/** @typedef {import("./api.js").Schemas["VMResponse"]} Machine */

/** @type {WeakMap<Machine, {name: string, project: string, address: string, all: string}>} */
const made = new WeakMap();

/** "web-9" before "web-10". @param {string} text */
const natural = (text) => text.toLowerCase().replace(/\d+/g, (digits) => digits.padStart(12, "0"));

/** @param {Machine} vm */
export function wordsOf(vm) {
  let words = made.get(vm);
  if (words === undefined) {
    words = {
      name: natural(vm.name),
      project: natural(vm.project_name),
      address: natural(vm.ip_address ?? ""),
      all: `${vm.name} ${vm.ip_address ?? ""} ${vm.image} ${vm.project_name} ${Object.entries(vm.labels).flat().join(" ")}`.toLowerCase(),
    };
    made.set(vm, words);
  }
  return words;
}
