"""An alert fires exactly when its definition says, judged against a reference that looks at everything."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zentry.monitoring.alerts.states import AlertState, Comparison, Rule, Standing, judge

START = datetime(2026, 1, 15, 10, 0, tzinfo=UTC)
Series = Sequence[tuple[datetime, float | None]]

VALUES = st.one_of(st.none(), st.sampled_from([0.0, 50.0, 60.0, 70.0, 80.0, 100.0]), st.floats(0, 100))
STEPS = st.lists(st.tuples(st.integers(1, 200), VALUES), max_size=40)
RULES = st.builds(
    lambda comparison, threshold, gap, fire, resolve: Rule(
        comparison,
        threshold,
        threshold - gap if comparison is Comparison.ABOVE else threshold + gap,
        timedelta(seconds=fire),
        timedelta(seconds=resolve),
    ),
    st.sampled_from(Comparison),
    st.sampled_from([50.0, 60.0, 80.0]),
    st.sampled_from([0.0, 10.0, 20.0]),
    st.sampled_from([0, 60, 300]),
    st.sampled_from([0, 60, 300]),
)


def reference(series: Series, rule: Rule) -> list[AlertState]:  # noqa: C901 - the definition, as a whole
    """Return the state after each value from the definition alone, without any memory of its own.

    It fires at the end of a run of breaches that has lasted long enough, until the end of a run of
    clear values that has lasted long enough.
    """

    def run_lasts(index: int, *, breaching: bool, needed: timedelta, since: int = 0) -> bool:
        test = rule.breaches if breaching else rule.is_clear
        first = index
        while first >= since and test(series[first][1]):
            first -= 1
        return first < index and series[index][0] - series[first + 1][0] >= needed

    states = []
    for index in range(len(series)):
        fired_at = resolved_at = None
        for past in range(index + 1):
            firing = fired_at is not None and (resolved_at is None or resolved_at < fired_at)
            if not firing:
                since = 0 if resolved_at is None else resolved_at + 1
                if run_lasts(past, breaching=True, needed=rule.fire_after, since=since):
                    fired_at = past
            elif fired_at is not None and run_lasts(
                past, breaching=False, needed=rule.resolve_after, since=fired_at + 1
            ):
                resolved_at = past
        if fired_at is not None and (resolved_at is None or resolved_at < fired_at):
            states.append(AlertState.FIRING)
        elif rule.breaches(series[index][1]):
            states.append(AlertState.PENDING)
        elif resolved_at is not None and not any(rule.breaches(value) for _, value in series[resolved_at + 1 : index]):
            states.append(AlertState.RESOLVED)
        else:
            states.append(AlertState.OK)
    return states


def judged(series: Series, rule: Rule) -> list[AlertState]:
    standing, states = Standing(AlertState.OK, START), []
    for at, value in series:
        standing = judge(standing, rule, value, now=at)
        states.append(standing.state)
    return states


def series_of(steps: Sequence[tuple[int, float | None]]) -> list[tuple[datetime, float | None]]:
    at, series = START, []
    for seconds, value in steps:
        at += timedelta(seconds=seconds)
        series.append((at, value))
    return series


@given(STEPS, RULES)
@settings(max_examples=300, deadline=None)
def test_the_states_are_those_of_the_definition(steps: list[tuple[int, float | None]], rule: Rule) -> None:
    series = series_of(steps)

    assert judged(series, rule) == reference(series, rule)


@pytest.mark.long
def test_the_states_are_those_of_the_definition_in_ten_thousand_series() -> None:
    fired = 0
    for seed in range(10_000):
        random = Random(seed)
        comparison = random.choice(list(Comparison))
        threshold, gap = random.choice([30.0, 50.0, 80.0]), random.choice([0.0, 5.0, 20.0])
        rule = Rule(
            comparison,
            threshold,
            threshold - gap if comparison is Comparison.ABOVE else threshold + gap,
            timedelta(seconds=random.choice([0, 30, 60, 300, 900])),
            timedelta(seconds=random.choice([0, 30, 60, 300, 900])),
        )
        level, steps = random.uniform(0, 100), []
        for _ in range(random.randrange(20, 120)):
            level = min(100.0, max(0.0, level + random.gauss(0, 15)))
            # A worker is late now and then, and now and then nothing was measured.
            late = random.choice([15, 15, 15, 30, 400])
            steps.append((late, None if random.random() < 0.05 else level))
        series = series_of(steps)

        states = judged(series, rule)

        assert states == reference(series, rule), f"seed {seed}"
        fired += AlertState.FIRING in states
    assert fired > 3000


def test_between_its_thresholds_an_alert_stays_as_it_is() -> None:
    rule = Rule(Comparison.ABOVE, 90.0, 80.0)

    states = judged(series_of([(60, value) for value in (89.0, 91.0, 85.0, None, 81.0, 80.0, 85.0)]), rule)

    assert states == ["ok", "firing", "firing", "firing", "firing", "resolved", "resolved"]


def test_a_gap_ends_the_run_of_what_is_pending() -> None:
    rule = Rule(Comparison.ABOVE, 90.0, 90.0, fire_after=timedelta(minutes=2))

    states = judged(series_of([(60, value) for value in (95.0, 95.0, None, 95.0, 95.0, 95.0)]), rule)

    assert states == ["pending", "pending", "ok", "pending", "pending", "firing"]
