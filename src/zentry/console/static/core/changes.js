// What an event means for what is on screen.
import { machines, readMachine, settle } from "./fleet.js";
import { listen } from "./live.js";
import { invalidate } from "./resource.js";

const GATHER_MS = 250;

/** What is read again when a kind of event comes: by the beginning of its kind. @type {[string, string[]][]} */
const TOUCHES = [
  ["vm.", ["/monitoring/dashboard", "/vms/status", "/projects", "/quotas", "/billing"]],
  ["snapshot", ["/snapshots", "/quotas"]],
  ["credit.", ["/billing"]],
  ["billing.", ["/billing"]],
  ["project.", ["/projects", "/quotas"]],
  ["member", ["/projects"]],
  ["ssh_key.", ["/ssh-keys"]],
  ["account.", ["/auth"]],
  ["webhook.", ["/webhooks"]],
  ["alert", ["/monitoring", "/alert"]],
];

/** @type {Set<string>} */
let paths = new Set();
/** @type {Set<string>} */
let touched = new Set();
let timer = 0;

listen((event) => {
  paths.add("/events");
  for (const [beginning, reads] of TOUCHES) if (event.kind.startsWith(beginning)) reads.forEach((path) => paths.add(path));
  if (event.resource_type === "vm") touched.add(event.resource_id);
  timer ||= setTimeout(apply, GATHER_MS);
});

/** Several events at once are one look. */
function apply() {
  const [changed, ids] = [paths, touched];
  paths = new Set();
  touched = new Set();
  timer = 0;
  for (const id of ids) {
    changed.add(`/vms/${id}`);
    if (machines.peek() !== undefined) void readMachine(id).then((vm) => vm?.active_operation && settle(id)).catch(() => undefined);
  }
  void invalidate(...changed);
}
