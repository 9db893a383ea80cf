"""Advice that follows from an account's figures."""

from __future__ import annotations

from typing import Final

from zentry.platform.money import format_credits

_DAYS_WORTH_A_WARNING: Final = 3


def tips_for(*, stopped_vms: int, rate_micros_per_hour: int, available_micros: int) -> list[str]:
    """Return sentences about what could be done to spend less, or to not run out."""
    tips = []
    if rate_micros_per_hour:
        tips.append(
            f"Everything that runs costs {format_credits(rate_micros_per_hour)} credits per hour;"
            " a machine that is stopped at night and at weekends costs about a quarter."
        )
        hours = available_micros // rate_micros_per_hour
        if hours < 24 * _DAYS_WORTH_A_WARNING:
            tips.append(f"At this rate the available credit lasts about {hours} more hours.")
    if stopped_vms:
        tips.append(f"{stopped_vms} stopped machines cost nothing to keep; delete those that you do not need.")
    return tips
