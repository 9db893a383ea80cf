from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from statistics import correlation, fmean, pstdev
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from zentry.compute.simulator.arrays import Population, measure_all
from zentry.compute.simulator.load import Subject, days, measure
from zentry.compute.types import Sample

CREATED = datetime(2026, 3, 2, tzinfo=UTC)  # a Monday


def a_subject(number: int = 1, *, vcpus: int = 2) -> Subject:
    return Subject(UUID(int=number), vcpus=vcpus, memory_mib=2048 * vcpus, disk_gib=40)


def a_week(subject: Subject, *, seed: int = 1) -> list[Sample]:
    return [
        measure(seed, subject, created_at=CREATED, at=CREATED + timedelta(minutes=5 * step)) for step in range(7 * 288)
    ]


@settings(max_examples=300, deadline=None)
@given(
    seed=st.integers(min_value=0),
    vm_id=st.uuids(),
    vcpus=st.integers(1, 256),
    memory_mib=st.integers(1, 1 << 22),
    disk_gib=st.integers(1, 1 << 16),
    at=st.datetimes(min_value=datetime(1960, 1, 1), max_value=datetime(2200, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 -- bounds are naive, values aware
    running=st.booleans(),
)
def test_every_measurement_is_within_its_bounds(
    *, seed: int, vm_id: UUID, vcpus: int, memory_mib: int, disk_gib: int, at: datetime, running: bool
) -> None:
    subject = Subject(vm_id, vcpus, memory_mib, disk_gib)

    sample = measure(seed, subject, created_at=CREATED, at=at, running=running)

    for usage in (sample.cpu_usage, sample.memory_usage, sample.disk_usage):
        assert 0 <= usage <= 100
    for flow in (sample.network_in, sample.network_out, sample.disk_read, sample.disk_write):
        assert 0 <= flow < 1e10
    assert (sample.cpu_usage > 0) is running


def test_the_same_question_has_the_same_answer_in_every_release() -> None:
    sample = measure(1, a_subject(), created_at=CREATED, at=CREATED + timedelta(hours=14, seconds=30))

    at = CREATED + timedelta(hours=14, seconds=30)
    assert sample == Sample(UUID(int=1), at, 15.98, 29.05, 5.46, 752869, 943955, 430876, 268032)


def test_seeds_and_machines_differ() -> None:
    at = CREATED + timedelta(hours=5)

    loads = {
        measure(seed, a_subject(number), created_at=CREATED, at=at).cpu_usage
        for seed in range(5)
        for number in range(5)
    }

    assert len(loads) > 20


def test_days_are_busier_than_nights() -> None:
    for number in range(10):
        week = a_week(a_subject(number))
        by_hour = [fmean(sample.cpu_usage for sample in week if sample.recorded_at.hour == hour) for hour in range(24)]

        busiest = by_hour.index(max(by_hour))

        assert 11 <= busiest <= 20
        assert max(by_hour) > 1.3 * min(by_hour)


def test_bursts_stand_out_of_the_rhythm() -> None:
    jumps = [
        abs(later.cpu_usage - earlier.cpu_usage)
        for number in range(5)
        for earlier, later in pairwise(a_week(a_subject(number)))
    ]

    assert max(jumps) > 8 * fmean(jumps)


def test_load_moves_without_steps() -> None:
    samples = [
        measure(1, a_subject(), created_at=CREATED, at=CREATED + timedelta(seconds=step)) for step in range(6 * 3600)
    ]

    # Where a burst begins the square root rises fast, never at once.
    steps = [abs(later.cpu_usage - earlier.cpu_usage) for earlier, later in pairwise(samples)]

    assert max(steps) < 10
    assert fmean(steps) < 0.1


def test_memory_and_network_follow_cpu() -> None:
    for number in range(10):
        week = a_week(a_subject(number))
        cpu = [sample.cpu_usage for sample in week]

        assert correlation(cpu, [sample.memory_usage for sample in week]) > 0.6
        assert correlation(cpu, [sample.network_in for sample in week]) > 0.6
        assert pstdev(sample.memory_usage for sample in week) < pstdev(cpu)


def test_a_disk_fills_slowly_and_never_empties() -> None:
    usages = [
        measure(1, a_subject(), created_at=CREATED, at=CREATED + timedelta(days=day)).disk_usage for day in range(3000)
    ]

    assert all(0 <= later - earlier < 1 for earlier, later in pairwise(usages))
    assert usages[0] < 15
    assert 50 < usages[-1] < 100


def test_a_disk_does_not_fill_while_its_machine_rests() -> None:
    at = CREATED + timedelta(days=100)

    rested = measure(1, a_subject(), created_at=CREATED, at=at, running=False, rested=timedelta(days=90))
    worked = measure(1, a_subject(), created_at=CREATED, at=CREATED + timedelta(days=10))

    assert rested.disk_usage == worked.disk_usage


def test_larger_machines_are_idler_and_move_more() -> None:
    at = CREATED + timedelta(hours=12)
    small = measure(1, a_subject(vcpus=1), created_at=CREATED, at=at)

    large = measure(1, a_subject(vcpus=16), created_at=CREATED, at=at)

    assert large.cpu_usage < small.cpu_usage
    assert large.network_in > small.network_in


def test_a_machine_that_wants_more_than_it_has_measures_all_of_it() -> None:
    usages = [sample.cpu_usage for number in range(20) for sample in a_week(a_subject(number, vcpus=1))[: 2 * 288]]

    assert max(usages) == 100


def test_a_disk_is_never_emptier_than_at_its_creation() -> None:
    before = measure(1, a_subject(), created_at=CREATED, at=CREATED - timedelta(days=200))

    at_creation = measure(1, a_subject(), created_at=CREATED, at=CREATED)

    assert before.disk_usage == at_creation.disk_usage


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(min_value=0, max_value=1 << 70),
    machines=st.lists(
        st.tuples(
            st.uuids(),
            st.integers(1, 256),
            st.integers(1, 1 << 22),
            st.integers(1, 1 << 16),
            st.timedeltas(timedelta(days=-400), timedelta(days=4000)),
            st.booleans(),
        ),
        min_size=1,
        max_size=8,
    ),
    at=st.datetimes(min_value=datetime(1960, 1, 1), max_value=datetime(2200, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 -- bounds are naive, values aware
)
def test_arrays_measure_what_one_machine_after_the_other_measures(
    *, seed: int, machines: list[tuple[UUID, int, int, int, timedelta, bool]], at: datetime
) -> None:
    subjects = [Subject(*facts[:4]) for facts in machines]

    together = measure_all(
        seed,
        Population.of(
            subjects,
            age_days=[days(age) for *_, age, _ in machines],
            running=[running for *_, running in machines],
        ),
        at=at,
    )

    rows = zip(
        together.cpu_usage.tolist(),
        together.memory_usage.tolist(),
        together.disk_usage.tolist(),
        together.network_in.tolist(),
        together.network_out.tolist(),
        together.disk_read.tolist(),
        together.disk_write.tolist(),
        strict=True,
    )
    assert [Sample(subject.vm_id, at, *row) for subject, row in zip(subjects, rows, strict=True)] == [
        measure(seed, subject, created_at=at - age, at=at, running=running)
        for subject, (*_, age, running) in zip(subjects, machines, strict=True)
    ]
