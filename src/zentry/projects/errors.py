"""What projects refuse."""

from __future__ import annotations

from zentry.platform.errors import Conflict, NotFound


class ProjectNotFound(NotFound):
    """There is no such project among the caller's."""

    def __init__(self) -> None:
        super().__init__("Project")


class ProjectNameTaken(Conflict):
    """The account has a project of this name already."""

    def __init__(self, name: str) -> None:
        super().__init__(f"You already have a project named {name!r}. Choose another name.", name=name)
