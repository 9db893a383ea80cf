"""Where commands write: what was asked for to standard output, everything else to standard error."""

from __future__ import annotations

from typing import Final

from rich.console import Console

out: Final = Console(highlight=False)
err: Final = Console(stderr=True, highlight=False)
