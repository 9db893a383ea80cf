"""What is refused where operations are shown and turned back."""

from __future__ import annotations

from zentry.platform.errors import Conflict, NotFound


class OperationNotFound(NotFound):
    """There is no such operation among the caller's."""

    def __init__(self) -> None:
        super().__init__("Operation")


class OperationNotRetryable(Conflict):
    """The operation runs, has succeeded, or is of a kind that only its owner can ask for again."""

    code = "OPERATION_NOT_RETRYABLE"

    def __init__(self, message: str, *, kind: str, status: str) -> None:
        super().__init__(message, kind=kind, status=status)


class OperationNotCancellable(Conflict):
    """The operation has ended, is being undone, or is of a kind that cannot be undone."""

    code = "OPERATION_NOT_CANCELLABLE"

    def __init__(self, message: str, *, kind: str, status: str) -> None:
        super().__init__(message, kind=kind, status=status)
