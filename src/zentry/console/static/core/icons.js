// Our own small set of icons, drawn on a grid of 24.
import { h } from "preact";

/** @type {Record<string, string>} */
const PATHS = {
  overview: "M4 13h6V4H4zM14 20h6v-9h-6zM4 20h6v-3H4zM14 7h6V4h-6z",
  machine: "M4 5h16v6H4zM4 13h16v6H4zM8 8h.01M8 16h.01M12 8h5M12 16h5",
  project: "M3 7a2 2 0 0 1 2-2h4l2 2h8a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2z",
  billing: "M3 7h18v11H3zM3 11h18M7 15h4",
  chart: "M4 4v16h16M8 15l3-4 3 2 5-7",
  event: "M5 6h.01M5 12h.01M5 18h.01M9 6h11M9 12h11M9 18h11",
  settings: "M5 8h9M18 8h1M5 16h1M10 16h9M14 8a2 2 0 1 0 4 0 2 2 0 1 0-4 0zM6 16a2 2 0 1 0 4 0 2 2 0 1 0-4 0z",
  admin: "M12 3l8 3v6c0 4.5-3.2 7.6-8 9-4.8-1.4-8-4.5-8-9V6zM9 12l2 2 4-4",
  search: "M11 4a7 7 0 1 0 0 14 7 7 0 1 0 0-14zM20 20l-4-4",
  plus: "M12 5v14M5 12h14",
  play: "M7 5l12 7-12 7z",
  stop: "M7 7h10v10H7z",
  restart: "M19 12a7 7 0 1 1-2.2-5.1M19 4v4h-4",
  trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13M10 11v5M14 11v5",
  check: "M5 12.5l4.5 4.5L19 7.5",
  cross: "M6 6l12 12M18 6L6 18",
  alert: "M12 4l9 16H3zM12 10v4M12 17h.01",
  info: "M12 4a8 8 0 1 0 0 16 8 8 0 1 0 0-16zM12 11v5M12 8h.01",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  more: "M5 12h.01M5 11.99v.02M12 12h.01M12 11.99v.02M19 12h.01M19 11.99v.02",
  down: "M6 9l6 6 6-6",
  up: "M6 15l6-6 6 6",
  right: "M9 6l6 6-6 6",
  left: "M15 6l-6 6 6 6",
  out: "M14 5h5v14h-5M10 8l-4 4 4 4M6 12h9",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 1 0 0-8zM12 2v2M12 20v2M4.9 4.9l1.4 1.4M17.7 17.7l1.4 1.4M2 12h2M20 12h2M4.9 19.1l1.4-1.4M17.7 6.3l1.4-1.4",
  moon: "M20 14.5A8 8 0 1 1 9.5 4a6.5 6.5 0 0 0 10.5 10.5z",
  key: "M8 9a4 4 0 1 0 0 8 4 4 0 1 0 0-8zM11.5 11.5L20 4M16 7l3 3",
  shield: "M12 3l8 3v6c0 4.5-3.2 7.6-8 9-4.8-1.4-8-4.5-8-9V6z",
  clock: "M12 4a8 8 0 1 0 0 16 8 8 0 1 0 0-16zM12 8v4l3 2",
  camera: "M4 8h3l2-3h6l2 3h3v11H4zM12 10a3.5 3.5 0 1 0 0 7 3.5 3.5 0 1 0 0-7z",
  terminal: "M4 5h16v14H4zM8 10l3 2.5L8 15M13 15h4",
  resize: "M4 10V4h6M20 14v6h-6M4 4l6.5 6.5M20 20l-6.5-6.5",
  bell: "M6 16V11a6 6 0 1 1 12 0v5l2 2H4zM10 21h4",
  busy: "M12 4a8 8 0 1 1-8 8",
  dot: "M12 8a4 4 0 1 0 0 8 4 4 0 1 0 0-8z",
  minus: "M6 12h12",
  link: "M10 14a4 4 0 0 0 5.7 0l3-3A4 4 0 0 0 13 5.3l-1 1M14 10a4 4 0 0 0-5.7 0l-3 3a4 4 0 0 0 5.7 5.7l1-1",
  webhook: "M9 8a3 3 0 1 1 4.6 2.5L11 15M6 13a3.2 3.2 0 1 0 3 4.3h6M13.5 11l3 4.2a3 3 0 1 1-1.4 4.6",
  users: "M9 5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 1 0 0-7zM3 20c0-3.5 2.5-5.5 6-5.5s6 2 6 5.5M16 5.5a3.5 3.5 0 0 1 0 6.5M17.5 15c2.2.6 3.5 2.3 3.5 5",
  user: "M12 4a4 4 0 1 0 0 8 4 4 0 1 0 0-8zM4.5 20.5c0-4 3-6.5 7.5-6.5s7.5 2.5 7.5 6.5",
  lock: "M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 1 1 7 0v3",
  tag: "M4 4h8l8 8-8 8-8-8zM8 8h.01",
  menu: "M4 7h16M4 12h16M4 17h16",
  filter: "M4 5h16l-6 7v6l-4 2v-8z",
  refresh: "M5 12a7 7 0 0 1 12-5l2 2M19 4v5h-5M19 12a7 7 0 0 1-12 5l-2-2M5 20v-5h5",
  bolt: "M13 3L5 14h6l-1 7 8-11h-6z",
  download: "M12 4v11M7 11l5 5 5-5M5 20h14",
  gift: "M4 10h16v10H4zM3 7h18v3H3zM12 7v13M12 7c-2 0-4.5-.6-4.5-2.3C7.5 2.5 12 3 12 7zM12 7c2 0 4.5-.6 4.5-2.3C16.5 2.5 12 3 12 7z",
};

/** @param {{name: string, label?: string}} properties */
export function Icon({ name, label }) {
  return h(
    "svg",
    { class: `icon icon-${name}`, viewBox: "0 0 24 24", ...(label ? { role: "img", "aria-label": label } : { "aria-hidden": "true" }) },
    h("path", { d: PATHS[name] ?? PATHS.dot }),
  );
}
