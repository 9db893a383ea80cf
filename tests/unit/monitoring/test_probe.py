from __future__ import annotations

from pathlib import Path
from uuid import UUID

from tests.unit.monitoring.fleet import SteadyDriver
from zentry.monitoring.probe import Probe, RecentRequests
from zentry.platform.clock import ManualClock


async def test_a_driver_that_is_away_is_told_and_not_raised(clock: ManualClock, tmp_path: Path) -> None:
    driver = SteadyDriver(clock)
    driver.away = True
    probe = Probe(driver=driver, data_dir=tmp_path)

    samples = await probe.sample([UUID(int=1)])
    seen = await probe.observe(UUID(int=1))
    measured = await probe.measure()

    assert samples == {}
    assert not seen.answered
    assert measured.compute.failure == "The compute driver does not answer."
    assert measured.disk.total_bytes > 0


async def test_nothing_is_asked_of_the_driver_for_no_machines(clock: ManualClock, tmp_path: Path) -> None:
    driver = SteadyDriver(clock)

    samples = await Probe(driver=driver, data_dir=tmp_path).sample([])

    assert samples == {}
    assert driver.asked == []


async def test_a_data_directory_that_is_gone_is_told(clock: ManualClock, tmp_path: Path) -> None:
    measured = await Probe(driver=SteadyDriver(clock), data_dir=tmp_path / "gone").measure()

    assert measured.disk.failure is not None


def test_request_figures_are_those_of_the_last_requests_only() -> None:
    requests = RecentRequests()
    for _ in range(1000):
        requests.add(seconds=9.0, failed=True)

    for _ in range(950):
        requests.add(seconds=0.001, failed=False)
    summary = requests.summary()

    assert (summary.requests, summary.failures) == (1000, 50)
    assert summary.p95_ms == 1.0
    assert RecentRequests().summary().requests == 0
