"""What projects refuse."""

from __future__ import annotations

from collections.abc import Sequence

from zentry.platform.errors import Conflict, NotFound, TooManyRequests


class ProjectNotFound(NotFound):
    """There is no such project among the caller's."""

    def __init__(self) -> None:
        super().__init__("Project")


class ProjectNameTaken(Conflict):
    """The account has a project of this name already."""

    def __init__(self, name: str) -> None:
        super().__init__(f"You already have a project named {name!r}. Choose another name.", name=name)


class MemberNotFound(NotFound):
    """There is no such member in the project."""

    def __init__(self) -> None:
        super().__init__("Member")


class TransferNotFound(NotFound):
    """The project is offered to nobody, or not to the caller."""

    def __init__(self) -> None:
        super().__init__("Offer of the project")


class OwnerStays(Conflict):
    """The owner of a project cannot leave it, be removed, or have another role."""

    code = "PROJECT_NEEDS_OWNER"

    def __init__(self) -> None:
        super().__init__(
            "The owner of a project cannot leave it, be removed or have another role, since somebody has to pay for it."
            " Hand the project over to another member first, or delete it."
        )


class InvitationNotFound(NotFound):
    """There is no such invitation, or it is used, revoked, expired, or meant for another address."""

    def __init__(self) -> None:
        super().__init__("Invitation")
        self.message = (
            "Invitation not found: it was accepted or revoked, has expired, or was sent to another address than that of"
            " your account. Sign in with the address that it was sent to, or ask for another invitation."
        )


class AlreadyInvited(Conflict):
    """The address has an invitation to the project already."""

    code = "ALREADY_INVITED"

    def __init__(self) -> None:
        super().__init__("There is an invitation for this address already. Send it again, or revoke it first.")


class AlreadyMember(Conflict):
    """The account is in the project already."""

    code = "ALREADY_MEMBER"

    def __init__(self) -> None:
        super().__init__("The account with this address is in the project already. Change its role instead.")


class MembershipLimit(Conflict):
    """The project or the account has as many memberships as it may have."""

    code = "MEMBERSHIP_LIMIT"


class TooManyInvitations(TooManyRequests):
    """Too many invitations were sent, or this one a moment ago."""


class ProjectProtected(Conflict):
    """Machines of the project are protected against deletion."""

    code = "PROJECT_PROTECTED"

    def __init__(self, vms: Sequence[str]) -> None:
        super().__init__(
            f"The project has VMs that are protected against deletion: {', '.join(vms)}. Nothing was deleted; lift"
            " their protection first.",
            vms=list(vms),
        )
