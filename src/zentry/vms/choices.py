"""What can be chosen from the catalogue now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from zentry.platform.db import Transaction
from zentry.platform.errors import InvalidInput
from zentry.vms.repository import VMRepository
from zentry.vms.types import Image, InstanceType

Choice = TypeVar("Choice", Image, InstanceType)


class Choices:
    """Looks choices up; raises `InvalidInput` that names what can be chosen."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._vms = VMRepository(tx)

    async def ensure_image(self, name: str) -> None:
        """Raise unless the image can be chosen."""
        self._ensure_choice("image", name, await self._vms.list_images())

    async def get_size(self, name: str) -> InstanceType:
        """Return the instance type of this name."""
        return self._ensure_choice("instance_type", name, await self._vms.list_instance_types())

    def _ensure_choice(self, field: str, name: str, known: Sequence[Choice]) -> Choice:
        found = next((one for one in known if one.name == name), None)
        if found is not None and not self._is_over(found):
            return found
        what = field.replace("_", " ")
        if found is None:
            reason = f"There is no {what} {name!r}"
        else:
            reason = f"The {what} {name!r} has not been available since {found.unavailable_after:%Y-%m-%d}"
        choices = ", ".join(one.name for one in known if not self._is_over(one))
        raise InvalidInput.at(field, f"{reason}; choose one of {choices}.")

    def _is_over(self, choice: Image | InstanceType) -> bool:
        return choice.unavailable_after is not None and choice.unavailable_after <= self._tx.now
