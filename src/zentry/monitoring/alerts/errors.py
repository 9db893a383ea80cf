"""What alert policies refuse."""

from __future__ import annotations

from datetime import timedelta

from zentry.platform.errors import Conflict, NotFound


class AlertPolicyNotFound(NotFound):
    """There is no such alert policy among the caller's."""

    def __init__(self) -> None:
        super().__init__("Alert policy")


class SilenceNotFound(NotFound):
    """There is no such silence among the caller's."""

    def __init__(self) -> None:
        super().__init__("Silence")


class AlertPolicyNameTaken(Conflict):
    """The account has an alert policy of this name already."""

    def __init__(self, name: str) -> None:
        super().__init__(f"You already have an alert policy named {name!r}. Choose another name.", name=name)


class TooManyAlertPolicies(Conflict):
    """The account has as many alert policies as it may."""

    code = "TOO_MANY_ALERT_POLICIES"

    def __init__(self, most: int) -> None:
        super().__init__(f"An account may have {most} alert policies. Delete one first.", limit=most)


class SilencePeriod(Conflict):
    """The silence would be over before it begins, or would last too long."""

    code = "SILENCE_PERIOD"

    def __init__(self, longest: timedelta) -> None:
        super().__init__(
            f"A silence ends after it starts and in the future, and lasts {longest.days} days at most.",
            longest_days=longest.days,
        )


class TooManySilences(Conflict):
    """The account has as many silences as it may."""

    code = "TOO_MANY_SILENCES"

    def __init__(self, most: int) -> None:
        super().__init__(f"An account may have {most} silences. Delete one first.", limit=most)
