"""`zentry simulate`: a scenario on virtual time, and what came of it."""

from __future__ import annotations

import sys
from pathlib import Path

from zentry.cli.terminal import err, out
from zentry.platform.starting import CannotStart
from zentry.simulation.page import render_page
from zentry.simulation.report import print_report, to_json
from zentry.simulation.scenario import SHIPPED, load_scenario, shipped_scenarios
from zentry.simulation.simulation import Simulation


class BadReportFile(CannotStart):
    """The page cannot be written where it should be."""


def simulate(name: str, *, seed: int, days: float | None, html: Path | None, as_json: bool) -> bool:
    """Run a scenario and tell what came of it; False when a rule was broken."""
    scenario = load_scenario(name)
    if html is not None and not html.absolute().parent.is_dir():
        raise BadReportFile(f"--html: there is no directory {html.absolute().parent}.")
    lasts = scenario.days if days is None else days

    def on_day(day: int) -> None:
        if err.is_terminal:
            err.print(f"day {day} of {lasts:g}", end="\r")

    outcome = Simulation(scenario, seed=seed, name=Path(name).stem, days=days, on_day=on_day).run()
    if html is not None:
        html.write_text(render_page(outcome), encoding="utf-8")
    if as_json:
        sys.stdout.write(to_json(outcome) + "\n")
    else:
        print_report(outcome, out)
    return not outcome.broken


def list_scenarios() -> None:
    """Print the scenarios that come with the program."""
    for name in shipped_scenarios():
        out.print(f"{name:14} {load_scenario(name).title}")
    out.print(f"\nThey lie in {SHIPPED}; copy one to write your own.", soft_wrap=True)
