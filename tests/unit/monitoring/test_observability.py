"""The ready-made views and alert rules speak of metrics that there are."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from tests.support.debian import ensure_program

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "deploy" / "observability"
ROW = re.compile(r"^\| `(zentry_\w+)` \| (\w+) \| ([^|]*) \|", re.MULTILINE)


def known() -> dict[str, set[str]]:
    """Return the series that the platform shows, from the reference that is made from its code, and their labels."""
    series: dict[str, set[str]] = {}
    for name, kind, labels in ROW.findall((ROOT / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")):
        names = [f"{name}_{part}" for part in ("bucket", "sum", "count")] if kind == "histogram" else [name]
        series |= dict.fromkeys(names, set(re.findall(r"`(\w+)`", labels)) | {"instance", "job", "le"})
    return series


def wrong(expression: str) -> list[str]:
    """Return the series and labels of an expression that nobody shows."""
    series = known()
    used = set(re.findall(r"\bzentry_\w+", expression))
    labels = set().union(*(series.get(name, set()) for name in used))
    grouped = {
        label.strip()
        for group in re.findall(r"(?:by|ignoring)\s*\(([^)]*)\)", expression)
        for label in group.split(",")
    }
    matched = set(re.findall(r"(\w+)\s*(?:=~?|!=|!~)\s*\"", expression))
    return [*(used - series.keys()), *((grouped | matched) - labels if used else ())]


def test_every_panel_of_the_dashboard_shows_a_metric_that_there_is() -> None:
    panels = json.loads((FOLDER / "dashboard.json").read_text(encoding="utf-8"))["panels"]
    expressions = [target["expr"] for panel in panels for target in panel["targets"]]

    assert len(expressions) > 15
    assert {one: wrong(one) for one in expressions if wrong(one)} == {}
    assert all(re.search(r"\bzentry_\w+", one) for one in expressions)


def test_every_alert_rule_is_one_for_prometheus_and_looks_at_a_metric_that_there_is() -> None:
    rules = FOLDER / "alerts.yml"
    promtool = ensure_program("promtool", package="prometheus")

    done = subprocess.run(
        [str(promtool), "check", "rules", "--lint=all", "--lint-fatal", str(rules)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    expressions = re.split(r"- alert: ", rules.read_text(encoding="utf-8"))[1:]
    checked = [re.split(r"\n        (?:for|labels):", re.split(r"expr: ", one)[1])[0] for one in expressions]
    assert len(checked) >= 10
    assert {one: wrong(one) for one in checked if wrong(one)} == {}


def test_a_metric_or_label_that_is_not_there_is_found() -> None:
    assert wrong("sum by (state) (zentry_vms)") == ["state"]
    assert wrong('rate(zentry_request_total{status="500"}[5m])') == ["zentry_request_total", "status"]
