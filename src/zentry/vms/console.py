"""The serial console of a machine, asked of the engine with no transaction open."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from zentry.compute.driver import ComputeDriver, DriverRejected, DriverUnavailable
from zentry.platform.errors import Unavailable
from zentry.vms.errors import EngineCannot


@dataclass(frozen=True, slots=True)
class ConsoleOutput:
    """The end of what a machine has written since it was last started."""

    output: str
    lines: int
    truncated: bool


class Console:
    """Reads consoles."""

    def __init__(self, driver: ComputeDriver) -> None:
        self._driver = driver

    async def read(self, vm_id: UUID, *, lines: int) -> ConsoleOutput:
        """Return the last lines of a machine; nothing for one that the engine does not have."""
        if not self._driver.capabilities.console:
            raise EngineCannot("show the console of a VM")
        try:
            text = await self._driver.console(vm_id)
        except DriverUnavailable as error:
            raise Unavailable("The engine does not answer; try again in a moment.") from error
        except DriverRejected:
            text = ""  # It is not placed yet, or gone.
        written = text.splitlines(keepends=True)
        shown = written[-lines:]
        return ConsoleOutput("".join(shown), len(shown), truncated=len(shown) < len(written))
