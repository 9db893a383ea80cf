"""What the VM service refuses."""

from __future__ import annotations

from zentry.platform.errors import Conflict, NotFound, Unavailable


class VMNotFound(NotFound):
    """There is no such machine, or it is not the caller's."""

    def __init__(self) -> None:
        super().__init__("VM")


class InvalidTransition(Conflict):
    """The machine's state does not allow it."""

    code = "VM_INVALID_TRANSITION"

    def __init__(self, message: str, *, state: str) -> None:
        super().__init__(message, state=state)


class VMNameTaken(Conflict):
    """The project has a machine of this name."""

    code = "VM_NAME_TAKEN"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"The project already has a VM named {name!r}; choose another name or delete that VM.", name=name
        )


class SnapshotNotFound(NotFound):
    """There is no such snapshot, it is not the caller's, or not of this machine."""

    def __init__(self) -> None:
        super().__init__("Snapshot")


class SnapshotNameTaken(Conflict):
    """The machine has a snapshot of this name."""

    code = "SNAPSHOT_NAME_TAKEN"

    def __init__(self, name: str) -> None:
        super().__init__(f"The VM already has a snapshot named {name!r}; choose another name.", name=name)


class SnapshotNotAvailable(Conflict):
    """The snapshot is not finished, or has failed."""

    code = "SNAPSHOT_NOT_AVAILABLE"

    def __init__(self, name: str, *, status: str) -> None:
        super().__init__(f"The snapshot {name!r} is {status}; only one that is available can be used.", status=status)


class SnapshotTooLarge(Conflict):
    """The disk of the instance type is smaller than the snapshot."""

    code = "SNAPSHOT_TOO_LARGE"

    def __init__(self, name: str, *, needed: int, instance_type: str, there: int) -> None:
        super().__init__(
            f"The snapshot {name!r} needs a disk of {needed} GiB; the instance type {instance_type!r} has {there} GiB.",
            disk_gib=needed,
            instance_type=instance_type,
        )


class SnapshotInUse(Conflict):
    """A machine is being made from the snapshot."""

    code = "SNAPSHOT_IN_USE"

    def __init__(self, name: str) -> None:
        super().__init__(f"A VM is being created from the snapshot {name!r}; try again when it runs.", name=name)


class SSHKeyNotFound(NotFound):
    """There is no such key among the caller's."""

    def __init__(self) -> None:
        super().__init__("SSH key")


class SSHKeyTaken(Conflict):
    """The account has a key of this name, or the same key under another."""

    code = "SSH_KEY_TAKEN"

    def __init__(self, name: str, *, fingerprint: str) -> None:
        super().__init__(
            f"You already have an SSH key named {name!r}, or this very key under another name.",
            name=name,
            fingerprint=fingerprint,
        )


class TooManySSHKeys(Conflict):
    """The account has as many keys as it may have."""

    code = "TOO_MANY_SSH_KEYS"

    def __init__(self, maximum: int) -> None:
        super().__init__(f"An account has {maximum} SSH keys at most; delete one first.", maximum=maximum)


class TemplateNotFound(NotFound):
    """There is no such template among the caller's."""

    def __init__(self) -> None:
        super().__init__("Template")


class TemplateNameTaken(Conflict):
    """The account has a template of this name."""

    code = "TEMPLATE_NAME_TAKEN"

    def __init__(self, name: str | None) -> None:
        super().__init__(f"You already have a template named {name!r}; choose another name.", name=name)


class TooManyTemplates(Conflict):
    """The account has as many templates as it may have."""

    code = "TOO_MANY_TEMPLATES"

    def __init__(self, maximum: int) -> None:
        super().__init__(f"An account has {maximum} templates at most; delete one first.", maximum=maximum)


class TemplateOutdated(Conflict):
    """The template names an SSH key that is gone."""

    code = "TEMPLATE_OUTDATED"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"The template {name!r} names an SSH key that has been deleted; change the template's ssh_keys, or send "
            "ssh_keys with this request.",
            name=name,
        )


class SizeUnchanged(Conflict):
    """The machine has this size already."""

    code = "VM_SIZE_UNCHANGED"

    def __init__(self, instance_type: str) -> None:
        super().__init__(f"The VM is {instance_type!r} already.", instance_type=instance_type)


class EngineCannot(Conflict):
    """The engine that runs the machines is not able to do this."""

    code = "ENGINE_CANNOT"

    def __init__(self, what: str) -> None:
        super().__init__(f"The engine that runs the VMs of this platform cannot {what}.")


class TooManyFaults(Conflict):
    """The simulated world has as many faults in force as it may."""

    code = "TOO_MANY_FAULTS"

    def __init__(self, most: int) -> None:
        super().__init__(f"There are {most} faults in force already; lift some first.", limit=most)


class VMProtected(Conflict):
    """The machine is protected against deletion."""

    code = "VM_PROTECTED"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"The VM {name!r} is protected against deletion. Lift the protection first: "
            "PATCH /vms/{id} with delete_protection false.",
            name=name,
        )


class NoFreeAddress(Unavailable):
    """Every address of the network is leased."""

    code = "NO_FREE_ADDRESS"

    def __init__(self) -> None:
        super().__init__("Every address of the network is in use; try again later.", retry_after_seconds=30)
