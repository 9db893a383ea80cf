"""What an event says about a change: the fields that differ, as they were and as they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def changes_of(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return `before` and `after` with the fields that differ; what is the same says nothing."""
    different = [name for name in after if name not in before or before[name] != after[name]]
    return {
        "before": {name: before[name] for name in different if name in before},
        "after": {name: after[name] for name in different},
    }
