"""What billing refuses."""

from __future__ import annotations

from zentry.platform.errors import Conflict, NotAllowed, RuleBroken
from zentry.platform.money import format_credits, to_credits


class InsufficientCredits(RuleBroken):
    """The account has too few credits that are not held for something else."""

    code = "INSUFFICIENT_CREDITS"

    def __init__(self, *, required: int, available: int) -> None:
        super().__init__(
            f"Insufficient credits: {format_credits(required)} are required and {format_credits(available)} are"
            " available. Add credits, or stop something that runs.",
            required=to_credits(required),
            available=to_credits(available),
        )


class AlreadyHeld(Conflict):
    """Credit is held for the resource already: somebody else has asked for it to run in the meantime."""

    code = "ALREADY_HELD"

    def __init__(self) -> None:
        super().__init__("The resource was started by another request just now; look at it and try again.")


class BalanceLimit(RuleBroken):
    """The account would hold more than an account may."""

    code = "BALANCE_LIMIT"


class SelfServiceClosed(NotAllowed):
    """On this platform only an administrator adds credits."""

    code = "SELF_SERVICE_CREDIT_DISABLED"

    def __init__(self) -> None:
        super().__init__("Adding credits yourself is switched off here; ask an administrator.")


class ExportTooLarge(RuleBroken):
    """The export would have more lines than one may have."""

    code = "EXPORT_TOO_LARGE"

    def __init__(self, most: int) -> None:
        super().__init__(
            f"The export has more than {most:,} lines. Name a shorter time with `start_date` and `end_date`.", most=most
        )


class AlreadyRefunded(Conflict):
    """The line was given back before; once is all there is."""

    code = "ALREADY_REFUNDED"

    def __init__(self) -> None:
        super().__init__("This line was refunded before. A further correction is an adjustment of its own.")


class NotRefundable(RuleBroken):
    """Only a charge can be given back, and no more of it than it was."""

    code = "NOT_REFUNDABLE"
