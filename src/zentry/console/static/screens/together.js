// The figures of a project or of the account as a whole, beside those of the period before.
import { path } from "../core/api.js";
import { number, plural } from "../core/format.js";
import { useResource } from "../core/resource.js";
import { place, setQuery } from "../core/router.js";
import { columnsOf, FIGURES, period, useSeries, zoom } from "../core/series.js";
import { html, useMemo } from "../core/view.js";
import { Card, curl, Empty, Loaded, Select } from "../ui/basics.js";
import { Chart } from "../ui/chart.js";
import { PeriodChoice } from "../ui/period.js";
import { FORMATS, linesOf, Peaks } from "./figures.js";

export function Together() {
  const query = place.value.query;
  const projects = useResource("/projects").data ?? [];
  const project = projects.find((/** @type {any} */ one) => one.id === query.get("project"));
  const figure = FORMATS[query.get("figure") ?? ""] ? /** @type {string} */ (query.get("figure")) : "cpu_usage";
  const chosen = period();
  const where = project ? path`/monitoring/projects/${project.id}/series` : "/monitoring/series";
  const now = useResource(project ? path`/monitoring/projects/${project.id}/metrics` : "/monitoring/metrics", { every: 15 }).data;
  const found = useSeries(where, chosen);
  const columns = useMemo(() => columnsOf(found.data), [found.data]);
  const [format, max] = FORMATS[figure];
  return html`<${Card} title="Together" actions=${html`<${PeriodChoice} more />`}>
      <div class="stack">
        <div class="row wrap">
          <${Select} bare label="Of which machines" value=${project?.id ?? ""} onChange=${(/** @type {string} */ id) => setQuery({ project: id })} options=${[["", "All my machines"], ...projects.map((/** @type {any} */ one) => [one.id, `Project ${one.name}`])]} />
          <${Select} bare label="Figure of all" value=${figure} onChange=${(/** @type {string} */ value) => setQuery({ figure: value })} options=${Object.entries(FIGURES)} />
          <span class="small faint" role="status">${now ? `${number(now.measured_vms)} of ${plural(now.running_vms, "running machine")} measured` : ""}</span>
        </div>
        <${Loaded} of=${found} lines=${6}>
          ${() =>
            columns.isEmpty
              ? html`<${Empty} icon="chart" title="No figures in this period" command=${curl("GET", where)}>Usages are the mean of the machines, throughputs their sum.<//>`
              : html`<${Chart} label=${`${FIGURES[figure]} together`} times=${columns.times} from=${columns.from} to=${columns.to} series=${linesOf(columns, [figure])} format=${format} max=${max} height=${220} onZoom=${zoom} />`}
        <//>
      </div>
    <//>
    ${found.data && !columns.isEmpty && html`<${Peaks} data=${found.data} where=${where} chosen=${chosen} name=${project?.name ?? "account"} />`}`;
}
