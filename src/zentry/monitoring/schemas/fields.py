"""Fields that several answers share, and how figures are rounded for them."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from zentry.monitoring.usage import Usage

EXAMPLE_ID: Final = "01890a5d-ac96-774b-bcce-b302099a8057"
EXAMPLE_TIME: Final = "2026-01-15T10:30:00Z"
_BITS_PER_MEGABIT: Final = 1_000_000

Percent = Annotated[float, Field(ge=0, le=100, description="Percent of what the VM has.", examples=[23.5])]
BytesPerSecond = Annotated[float, Field(ge=0, description="Bytes per second.", examples=[20480.0])]
Megabits = Annotated[float, Field(ge=0, description="Megabits per second.", examples=[0.16])]
Credits = Annotated[float, Field(description="Credits.", examples=[1.25])]
Hours = Annotated[float, Field(ge=0, description="Hours.", examples=[12.5])]
Count = Annotated[int, Field(ge=0, description="How many.", examples=[3])]


def usage_fields(usage: Usage) -> dict[str, float]:
    """Return the figures that every screen knows: bounded and rounded."""
    return {
        "cpu_usage": percent(usage.cpu_usage),
        "memory_usage": percent(usage.memory_usage),
        "disk_usage": percent(usage.disk_usage),
        "network_in": round(max(0.0, usage.network_in), 2),
        "network_out": round(max(0.0, usage.network_out), 2),
    }


def percent(value: float) -> float:
    """Return a percentage within its bounds, with two digits."""
    return round(min(100.0, max(0.0, value)), 2)


def megabits(bytes_per_second: float) -> float:
    """Return bytes per second as megabits per second."""
    return round(bytes_per_second * 8 / _BITS_PER_MEGABIT, 4)
