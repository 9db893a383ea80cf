"""The names of the operations that machines know."""

from __future__ import annotations

from typing import Final

CREATE: Final = "vms.create"
START: Final = "vms.start"
STOP: Final = "vms.stop"
RESTART: Final = "vms.restart"
DELETE: Final = "vms.delete"
RESIZE: Final = "vms.resize"
REBUILD: Final = "vms.rebuild"
SNAPSHOT: Final = "vms.snapshot"
RESTORE: Final = "vms.restore"
DELETE_SNAPSHOTS: Final = "vms.delete_snapshots"
