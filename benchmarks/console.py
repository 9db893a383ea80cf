"""The console in numbers: what is transferred, when it can be used, and what ten thousand machines cost the browser."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import httpx
from playwright.sync_api import CDPSession, Page, Request, expect

from benchmarks.harness import MIB, Figure, show
from tests.support.console import ConsoleUnderTest, answers_with_machines, console_under_test, settled, sign_in

RUNS: Final = 5
MACHINES: Final = 10_000
SCROLLS: Final = 200
LONG_TASKS: Final = """
window.longTasks = [];
new PerformanceObserver(list => {
  for (const entry of list.getEntries()) window.longTasks.push(entry.duration);
}).observe({ type: "longtask", buffered: true });
"""
SCROLL: Final = """
steps => new Promise(resolve => {
  const box = document.querySelector(".grid-scroll");
  const end = box.scrollHeight - box.clientHeight;
  let most = 0;
  let step = 0;
  const go = () => {
    most = Math.max(most, document.querySelectorAll(".grid-row").length);
    if (step++ === steps) return resolve(most);
    box.scrollTop = end * step / steps;
    requestAnimationFrame(go);
  };
  go();
})
"""


def main() -> None:
    """Measure, each in a fresh browser context."""
    with (
        tempfile.TemporaryDirectory(prefix="zentry-console-") as folder,
        console_under_test(
            Path(folder), browser_arguments=("--enable-precise-memory-info", "--js-flags=--expose-gc")
        ) as console,
    ):
        show("The console", [*_first_screen(console), *_ten_thousand(console), *_create(console)])


def _first_screen(console: ConsoleUnderTest) -> Sequence[Figure]:
    sizes, requests, elsewhere, painted, interactive, blocked = [], [], [], [], [], []
    for _ in range(RUNS):
        page = console.page()
        page.add_init_script(LONG_TASKS)
        transferred: list[int] = []
        others: list[str] = []
        page.on("requestfinished", lambda request: transferred.append(_bytes_of(request)))  # noqa: B023 - closed below
        page.on("request", lambda request: others.append(httpx.URL(request.url).netloc.decode()))  # noqa: B023 - as above
        page.goto("/console")
        page.get_by_label("E-mail").wait_for()
        interactive.append(page.evaluate("performance.now()"))
        page.wait_for_load_state("networkidle")
        painted.append(page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"))
        blocked.append(page.evaluate("window.longTasks.reduce((sum, one) => sum + Math.max(0, one - 50), 0)"))
        sizes.append(sum(transferred) / 1000)
        requests.append(len(transferred))
        elsewhere.append(sum(host != httpx.URL(console.url).netloc.decode() for host in others))
        console.close_pages()
    return (
        Figure("first screen, transferred with headers", sizes, "kB", 1, "< 100 kB"),
        Figure("first screen, requests", requests, "", 0),
        Figure("first screen, requests to other hosts", elsewhere, "", 0, "0"),
        Figure("first contentful paint, cold", painted, "ms", 0),
        Figure("form can be filled in, cold", interactive, "ms", 0, "< 1000 ms"),
        Figure("total blocking time, cold", blocked, "ms", 0),
    )


def _ten_thousand(console: ConsoleUnderTest) -> Sequence[Figure]:
    email = console.person().email
    rows, longest, busy, heap = [], [], [], []
    for _ in range(RUNS):
        page = console.page(viewport={"width": 1440, "height": 900})
        page.add_init_script(LONG_TASKS)
        page.route(re.compile(r"/vms\?"), answers_with_machines(MACHINES))
        page.goto("/console/machines")
        sign_in(page, email)
        expect(page.locator("main [role=status]").first).to_contain_text("10,000 machines", timeout=60_000)
        page.wait_for_timeout(500)
        page.evaluate("window.longTasks = []")
        devtools = page.context.new_cdp_session(page)
        devtools.send("Performance.enable", {"timeDomain": "threadTicks"})
        before = _busy(devtools)
        rows.append(page.evaluate(SCROLL, SCROLLS))
        busy.append((_busy(devtools) - before) * 1000 / SCROLLS)
        longest.append(page.evaluate("Math.max(0, ...window.longTasks)"))
        heap.append(page.evaluate("(gc(), performance.memory.usedJSHeapSize)") / MIB)
        console.close_pages()
    return (
        Figure(f"{MACHINES} machines, rows in the document at most", rows, "", 0, "<= 80"),
        Figure(f"{MACHINES} machines, longest task over 50 ms while scrolling (0: none)", longest, "ms", 0, "0"),
        Figure(f"{MACHINES} machines, work of the main thread for a step of 50 rows", busy, "ms", 1),
        Figure(f"{MACHINES} machines, heap after collection", heap, "MiB", 1, "< 60 MB"),
    )


def _busy(devtools: CDPSession) -> float:
    """Return the seconds that the page's main thread has worked: of the processor, not of the clock."""
    return float(
        next(
            one["value"] for one in devtools.send("Performance.getMetrics")["metrics"] if one["name"] == "TaskDuration"
        )
    )


def _create(console: ConsoleUnderTest) -> Sequence[Figure]:
    person = console.person()
    project = person.project()
    person.api.post("/billing/credits/add", json={"amount": 1000}).raise_for_status()
    page = console.signed_in(person, "/machines")
    shown, alone = [], []
    for number in range(RUNS):
        shown.append(_click_to_running(page, f"shown-{number}"))
        wish = {"name": f"alone-{number}", "instance_type": "small", "image": "debian-12", "project_id": project}
        alone.append(person.api.post("/vms", json=wish, headers={"Prefer": "wait=20"}).elapsed.total_seconds() * 1000)
    more = [after - before for after, before in zip(shown, alone, strict=True)]
    return (
        Figure("Create clicked, machine running on screen", shown, "ms", 0),
        Figure("the same by the API alone", alone, "ms", 0),
        Figure("what the screen adds", more, "ms", 0, "< 300 ms"),
    )


def _click_to_running(page: Page, name: str) -> float:
    """Click Create, and measure inside the page until the row says that the machine runs."""
    page.get_by_role("button", name="Create machine").first.click()
    dialog = page.get_by_role("dialog", name="Create a machine")
    dialog.get_by_label("Name", exact=True).fill(name)
    settled(page)
    return float(
        page.evaluate(
            """name => new Promise(resolve => {
              const began = performance.now();
              const look = () => document.querySelector(`[data-machine="${name}"]`)?.textContent.includes("running")
                ? resolve(performance.now() - began) : requestAnimationFrame(look);
              document.querySelector("dialog button[type=submit]").click();
              look();
            })""",
            name,
        )
    )


def _bytes_of(request: Request) -> int:
    sizes = request.sizes()
    return int(sizes["responseBodySize"] + sizes["responseHeadersSize"])
