"""Runs the benchmarks that are named, or all of them: python -m benchmarks [NAME …]."""

from __future__ import annotations

import importlib
import sys
from typing import Final

ALL: Final = (
    "first_vm",
    "memory",
    "list_vms",
    "create_vm",
    "create_rate",
    "operations",
    "metrics",
    "metrics_store",
    "load",
    "console",
    "sign_in",
    "metering",
    "dashboard",
)

if __name__ == "__main__":
    for name in sys.argv[1:] or ALL:
        if name not in ALL:
            sys.exit(f"There is no benchmark {name!r}; there are {', '.join(ALL)}.")
        importlib.import_module(f"benchmarks.{name}").main()
