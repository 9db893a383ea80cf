"""Bugs that the suite must find: each is one change of one file, and the tests that look there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_OPERATIONS: Final = "tests/integration/test_operations.py"
_RECONCILER: Final = "tests/integration/test_reconciler.py"


@dataclass(frozen=True, slots=True)
class Bug:
    """A text of a file that stands there once, what stands there instead, and who should notice."""

    name: str
    file: str
    before: str
    after: str
    tests: tuple[str, ...]
    chosen: str = "sqlite"
    """Which of the tests, as for `pytest -k`."""


BUGS: Final = (
    Bug(
        "an operation is claimed while another worker holds it",
        "operations/queue.py",
        '            sa.and_(is_running, operations.c.lease_until < sa.bindparam("now")),\n',
        "            is_running,\n",
        (_OPERATIONS,),
        chosen="workers and sqlite",
    ),
    Bug(
        "hosts carry out orders of the past",
        "compute/simulator/world.py",
        "if seen is not None and seen > order.fence:",
        "if seen is not None and seen > order.fence + 1_000_000:",
        (_OPERATIONS, "tests/integration/test_driver_conformance.py"),
        chosen="zombie or fence",
    ),
    Bug(
        "a renewal of leases cancels what was claimed meanwhile",
        "operations/runner.py",
        "for operation_id in driving.keys() - kept:\n                driving[operation_id].cancel()",
        "for operation_id in self._driving.keys() - kept:\n                self._driving[operation_id].cancel()",
        ("tests/integration/test_leases.py",),
    ),
    Bug(
        "a request that is repeated with its key has its effect again",
        "operations/idempotency.py",
        "        if fresh:\n            return None\n",
        "        if fresh or key.key:\n            return None\n",
        ("tests/integration/test_write_safety.py",),
    ),
    Bug(
        "a creation that fails keeps its hold",
        "vms/lifecycle.py",
        "                release=self._stop_metering,\n                abandon=self._creation_failed,",
        "                release=_keep_money,\n                abandon=self._creation_failed,",
        (_OPERATIONS,),
    ),
    Bug(
        "a machine that is removed stays counted",
        "vms/lifecycle.py",
        "        await Quotas(tx).give_back_all((vm.user_id, vm.project_id), vm.counted)\n",
        "",
        ("tests/integration/test_vm_quotas.py",),
    ),
    Bug(
        "a machine that is removed keeps its address",
        "vms/lifecycle.py",
        "        await self._release_address(tx, vm)\n        if vm.has_user_data",
        "        if vm.has_user_data",
        (_OPERATIONS, "tests/integration/test_vm_endpoints.py"),
    ),
    Bug(
        "a counter is taken beyond its limit",
        "projects/quotas.py",
        "    return sa.update(quotas).where(*_rows(resources), more <= quotas.c.maximum).values(used=more)\n",
        "    return sa.update(quotas).where(*_rows(resources)).values(used=more)\n",
        ("tests/integration/test_vm_quotas.py",),
    ),
    Bug(
        "a step is tried again for ever",
        "operations/runner.py",
        "        if claim.attempt >= self._settings.max_attempts:\n",
        "        if claim.attempt >= 1_000_000:\n",
        (_OPERATIONS,),
        chosen="never_succeeds and sqlite",
    ),
    Bug(
        "the reconciler removes machines that it does not know",
        "vms/repairs.py",
        "    if row is None:\n        return Finding.UNKNOWN\n",
        "    if row is None:\n        return Finding.ORPHAN\n",
        (_RECONCILER,),
    ),
    Bug(
        "a machine that was found down is billed for the time between",
        "vms/repairs.py",
        "        await self._stop_metering(seen)\n        vm = await",
        "        vm = await",
        (_RECONCILER,),
    ),
    Bug(
        "seconds that nobody has paid for are charged",
        "billing/rating.py",
        "        until = min(until, course.segment.paid_until)\n",
        "",
        ("tests/integration/test_billing_endpoints.py",),
    ),
)
