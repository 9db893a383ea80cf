"""What is refused about webhooks."""

from __future__ import annotations

from zentry.platform.errors import Conflict, InvalidInput, NotFound


class WebhookNotFound(NotFound):
    """There is no such webhook among the caller's."""

    def __init__(self) -> None:
        super().__init__("Webhook")


class DeliveryNotFound(NotFound):
    """There is no such delivery to the webhook."""

    def __init__(self) -> None:
        super().__init__("Delivery")


class TooManyWebhooks(Conflict):
    """The account has as many webhooks as it may have."""

    code = "TOO_MANY_WEBHOOKS"

    def __init__(self, most: int) -> None:
        super().__init__(f"An account has {most} webhooks at most. Delete one first.")


class WebhookDisabled(Conflict):
    """Nothing is posted to a webhook that is disabled."""

    code = "WEBHOOK_DISABLED"

    def __init__(self) -> None:
        super().__init__("The webhook is disabled. Enable it first: PATCH it with status `enabled`.")


class WebhookTargetRefused(InvalidInput):
    """The URL is none that the platform posts to."""

    code = "WEBHOOK_TARGET_REFUSED"
