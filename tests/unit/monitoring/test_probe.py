from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest
from pydantic import SecretStr

from tests.unit.monitoring.fleet import SteadyDriver
from zentry.monitoring.probe import Probe, RecentRequests, Samples
from zentry.monitoring.victoria import VictoriaMetricsStore
from zentry.platform.clock import ManualClock
from zentry.platform.settings import MonitoringSettings


@pytest.fixture
async def nowhere(clock: ManualClock) -> AsyncIterator[VictoriaMetricsStore]:
    """A store whose server is not there."""
    settings = MonitoringSettings(store="victoriametrics", victoria_url=SecretStr("http://127.0.0.1:1"))
    store = VictoriaMetricsStore(settings=settings, clock=clock)
    yield store
    await store.close()


async def test_a_driver_or_store_that_is_away_is_told_and_not_raised(
    clock: ManualClock, nowhere: VictoriaMetricsStore, tmp_path: Path
) -> None:
    driver = SteadyDriver(clock)
    driver.away = True
    probe = Probe(driver, nowhere, tmp_path)

    samples = await probe.sample([UUID(int=1)])
    seen = await probe.observe(UUID(int=1))
    measured = await probe.measure()

    assert samples == {}
    assert not seen.answered
    assert measured.compute.failure == "The compute driver does not answer."
    assert measured.samples == Samples("victoriametrics", "The store of samples does not answer.")
    assert measured.disk.total_bytes > 0


async def test_nothing_is_asked_of_the_driver_for_no_machines(
    clock: ManualClock, nowhere: VictoriaMetricsStore, tmp_path: Path
) -> None:
    driver = SteadyDriver(clock)

    samples = await Probe(driver, nowhere, tmp_path).sample([])

    assert samples == {}
    assert driver.asked == []


async def test_a_data_directory_that_is_gone_is_told(
    clock: ManualClock, nowhere: VictoriaMetricsStore, tmp_path: Path
) -> None:
    measured = await Probe(SteadyDriver(clock), nowhere, tmp_path / "gone").measure()

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
