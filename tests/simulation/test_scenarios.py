"""Scenarios as users write them: what is shipped runs, what does not fit is named."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.simulation.storm import STORM, simulate, store
from zentry.cli.simulating import simulate as simulate_command
from zentry.platform.starting import CannotStart
from zentry.simulation.page import render_page
from zentry.simulation.report import print_report, to_json
from zentry.simulation.scenario import BadScenario, load_scenario, parse_scenario, shipped_scenarios
from zentry.simulation.simulation import Simulation


def _with(path: str, value: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(json.dumps(STORM))
    *groups, last = path.split(".")
    table = document
    for group in groups:
        table = table.setdefault(group, {})
    table[last] = value
    return document


def test_four_scenarios_come_with_the_program() -> None:
    assert shipped_scenarios() == ["flash-crowd", "host-storm", "quiet-month", "student-lab"]


@pytest.mark.parametrize("name", ["flash-crowd", "host-storm", "student-lab"])
def test_a_shipped_scenario_keeps_every_rule_in_its_first_hour(name: str) -> None:
    scenario = load_scenario(name)
    crowd = scenario.users.model_copy(update={"count": 20})

    outcome = Simulation(
        scenario.model_copy(update={"users": crowd}), seed=1, name=name, days=1 / 24, store=store()
    ).run()

    assert outcome.broken == []
    assert outcome.events > 20
    assert outcome.checks == 1


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        (
            "machines.lifetime_hour",
            3,
            "machines.lifetime_hour: there is no such key. Did you mean machines.lifetime_hours?",
        ),
        ("wheather", {}, "wheather: there is no such key."),
        ("users.count", 0, "users.count: must be greater than or equal to 1 (it is 0)."),
        ("users.count", "five", "users.count: must be a valid integer (it is 'five')."),
        ("machines.per_user", 100_000, "machines.per_user: must be less than or equal to 10000 (it is 100000)."),
        ("machines.types", {"small": 0}, "machines: at least one instance type needs a weight above 0."),
        ("faults.kill", 1.5, "faults.kill: must be less than or equal to 1 (it is 1.5)."),
        ("faults.unavailable", 0.9, "faults: unavailable, rejected, lost_reply and slow together exceed 1."),
        ("settings.billing.window", 5, "settings.billing.window: there is no such key."),
        ("settings.simulator.hosts", 0, "settings.simulator.hosts: must be greater than or equal to 1 (it is 0)."),
    ],
)
def test_what_does_not_fit_is_named(path: str, value: object, line: str) -> None:
    with pytest.raises(BadScenario) as refused:
        parse_scenario(_with(path, value), name="mine")

    assert any(found.startswith(line) for found in refused.value.lines)


def test_more_machines_than_can_be_simulated_are_refused() -> None:
    document = _with("users.count", 100_000)
    document["machines"]["per_user"] = 100

    with pytest.raises(BadScenario, match="more than 100,000"):
        parse_scenario(document, name="mine")


def test_an_unknown_instance_type_is_named() -> None:
    scenario = parse_scenario(_with("machines.types", {"gigantic": 1}), name="mine")

    with pytest.raises(BadScenario, match="no instance type 'gigantic'"):
        Simulation(scenario, seed=1, store=store()).run()


def test_an_unknown_name_gets_a_hint() -> None:
    with pytest.raises(BadScenario, match=r"Did you mean quiet-month\?"):
        load_scenario("quit-month")


def test_a_file_that_is_no_toml_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("title = ")

    with pytest.raises(BadScenario, match="cannot be read"):
        load_scenario(str(file))


def test_the_environment_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    before = simulate(5).events_hash
    monkeypatch.setenv("ZENTRY_BILLING__WELCOME_CREDITS", "7")

    after = simulate(5).events_hash

    assert before == after


def test_a_report_tells_what_came_of_it() -> None:
    console = Console(record=True, width=160, file=StringIO())
    outcome = simulate(1)

    print_report(outcome, console)

    text = console.export_text()
    assert outcome.events_hash in text
    assert "vms.create" in text
    assert "Every rule held" in text


def test_a_report_is_json_as_well() -> None:
    outcome = simulate(1)

    document = json.loads(to_json(outcome))

    assert document["events_hash"] == outcome.events_hash
    assert document["moments"][-1]["credits"] == outcome.moments[-1].credits / 1_000_000


def test_a_page_is_complete_in_itself() -> None:
    page = render_page(simulate(1))

    links: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            links.extend(f"{tag} {name}" for name, _ in attrs if name in {"src", "href"})

    Reader().feed(page)
    assert links == []
    assert page.count("<svg") == 4


def test_the_command_writes_a_page_and_says_whether_rules_held(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "report.html"

    held = simulate_command("host-storm", seed=1, days=0.02, html=file, as_json=True)

    assert held
    assert file.read_text().startswith("<!doctype html>")
    assert json.loads(capsys.readouterr().out)["scenario"] == "host-storm"


def test_a_page_that_cannot_be_written_is_told_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match="no directory"):
        simulate_command("host-storm", seed=1, days=1.0, html=tmp_path / "none" / "report.html", as_json=False)
