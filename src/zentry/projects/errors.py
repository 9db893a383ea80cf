"""What projects refuse."""

from __future__ import annotations

from collections.abc import Sequence

from zentry.platform.errors import Conflict, NotFound


class ProjectNotFound(NotFound):
    """There is no such project among the caller's."""

    def __init__(self) -> None:
        super().__init__("Project")


class ProjectNameTaken(Conflict):
    """The account has a project of this name already."""

    def __init__(self, name: str) -> None:
        super().__init__(f"You already have a project named {name!r}. Choose another name.", name=name)


class ProjectProtected(Conflict):
    """Machines of the project are protected against deletion."""

    code = "PROJECT_PROTECTED"

    def __init__(self, vms: Sequence[str]) -> None:
        super().__init__(
            f"The project has VMs that are protected against deletion: {', '.join(vms)}. Nothing was deleted; lift"
            " their protection first.",
            vms=list(vms),
        )
