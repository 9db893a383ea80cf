"""Every pair of state and event has an outcome."""

from __future__ import annotations

import itertools

import pytest

from zentry.schema.vms import VMStatus
from zentry.vms.errors import InvalidTransition
from zentry.vms.states import ALLOWED, TRANSITIONS, VMEvent, VMRequest, ensure_allowed, next_state


@pytest.mark.parametrize(("state", "event"), list(itertools.product(VMStatus, VMEvent)))
def test_a_pair_of_state_and_event_leads_somewhere_or_is_refused(state: VMStatus, event: VMEvent) -> None:
    if (state, event) in TRANSITIONS:
        assert next_state(state, event) is TRANSITIONS[state, event]
    else:
        with pytest.raises(InvalidTransition, match=state):
            next_state(state, event)


@pytest.mark.parametrize(("state", "request_"), list(itertools.product(VMStatus, VMRequest)))
def test_a_request_is_allowed_or_refused_with_the_states_that_allow_it(state: VMStatus, request_: VMRequest) -> None:
    if state in ALLOWED[request_]:
        ensure_allowed(state, request_)
    else:
        with pytest.raises(InvalidTransition, match=rf"can {request_} when it is"):
            ensure_allowed(state, request_)


def test_every_state_but_the_last_can_be_left_and_be_removed() -> None:
    left = {state for state, _ in TRANSITIONS}

    assert left == set(VMStatus) - {VMStatus.TERMINATED}
    assert all(TRANSITIONS[state, VMEvent.REMOVED] is VMStatus.TERMINATED for state in left)


def test_every_state_can_be_reached() -> None:
    reached = {VMStatus.CREATING}
    while True:
        further = {after for (before, _), after in TRANSITIONS.items() if before in reached} | reached
        if further == reached:
            break
        reached = further

    assert reached == set(VMStatus)
