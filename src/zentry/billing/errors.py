"""What billing refuses."""

from __future__ import annotations

from datetime import datetime

from zentry.platform.errors import Conflict, NotAllowed, NotFound, RuleBroken
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


class PayerChanged(Conflict):
    """The project changed hands while the request waited for its owner's account."""

    def __init__(self) -> None:
        super().__init__("The project has just got another owner. Nothing was changed; try again.")


class AlreadyHeld(Conflict):
    """Credit is held for the resource already: somebody else has asked for it to run in the meantime."""

    code = "ALREADY_HELD"

    def __init__(self) -> None:
        super().__init__("The resource was started by another request just now; look at it and try again.")


class BalanceLimit(Conflict):
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


class NotRefundable(Conflict):
    """Only a charge can be given back, and no more of it than it was."""

    code = "NOT_REFUNDABLE"


class PriceListNotFound(NotFound):
    """There is no price list of this version."""

    def __init__(self) -> None:
        super().__init__("Price list")


class PriceListFixed(Conflict):
    """The price list is in force, was, or comes so soon that credit may be held by it."""

    code = "PRICE_LIST_FIXED"

    def __init__(self, version: int) -> None:
        super().__init__(
            f"Price list {version} cannot be withdrawn: only the one announced last can, and only while no credit is"
            " held by it yet, a day ahead. Announce another that follows it.",
            version=version,
        )


class PriceNotice(Conflict):
    """A price list must be announced further ahead, and after every other one."""

    code = "PRICE_NOTICE"

    def __init__(self, soonest: datetime, *, notice_hours: float) -> None:
        super().__init__(
            f"A price list is announced at least {notice_hours:g} hours ahead and follows every other one:"
            f" {soonest:%Y-%m-%dT%H:%M:%SZ} is the soonest now.",
            soonest=f"{soonest:%Y-%m-%dT%H:%M:%SZ}",
        )


class TooManyGrants(Conflict):
    """The account has as many grants that end as an account may have."""

    code = "TOO_MANY_GRANTS"

    def __init__(self, most: int) -> None:
        super().__init__(f"An account may have {most} grants that end at a time; grant credits that do not end.")


class VoucherExpired(Conflict):
    """The time of the voucher is over, or it was withdrawn."""

    code = "VOUCHER_EXPIRED"

    def __init__(self) -> None:
        super().__init__("This voucher has expired. Ask whoever gave it to you for another one.")


class VoucherOver(Conflict):
    """The voucher would have expired before it is made."""

    code = "VOUCHER_OVER"

    def __init__(self) -> None:
        super().__init__("This time is past already: the voucher would be worth nothing. Choose one in the future.")


class VoucherUsed(Conflict):
    """The voucher was redeemed, by this account or as often as it may be."""

    code = "VOUCHER_USED"


class BudgetExceeded(Conflict):
    """A budget of the account, which forbids this once it is spent, is spent."""

    code = "BUDGET_EXCEEDED"

    def __init__(self, name: str, *, limit: int, reached: int, budget_id: str) -> None:
        super().__init__(
            f"The budget “{name}” forbids this: it has reached {format_credits(reached)} of {format_credits(limit)}"
            " credits this month. Raise the budget, or wait for the next month.",
            budget_id=budget_id,
            limit=to_credits(limit),
            reached=to_credits(reached),
        )


class BudgetNameTaken(Conflict):
    """Another budget of the account has this name."""

    code = "BUDGET_NAME_TAKEN"

    def __init__(self, name: str) -> None:
        super().__init__(f"There is a budget “{name}” already; choose another name.")


class TooManyBudgets(Conflict):
    """The account has as many budgets as it may have."""

    code = "TOO_MANY_BUDGETS"

    def __init__(self, most: int) -> None:
        super().__init__(f"An account has {most} budgets at most; delete one first.", most=most)


class ForecastTooLarge(Conflict):
    """The plan is longer than a forecast may be."""

    code = "FORECAST_TOO_LARGE"

    def __init__(self, why: str) -> None:
        super().__init__(f"{why}. Ask for fewer days, or for fewer machines.")
