"""Templates on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints
from pydantic.config import JsonDict

from zentry.platform.wire import ReadModel, WriteModel, one_of_catalogue
from zentry.vms.schemas import SNAPSHOT_NAME_PATTERN, KeyIds, Labels, UserData

_EXAMPLE: Final[JsonDict] = {
    "name": "web server",
    "instance_type": "small",
    "image": "debian-12",
    "labels": {"tier": "web"},
    "user_data": "#cloud-config\npackages: [nginx]\n",
}
TemplateName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=100, pattern=SNAPSHOT_NAME_PATTERN),
    Field(description="Letters, digits, spaces, `.`, `_`, `:` and `-`; unique among yours.", examples=["web server"]),
]
TypeName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=50),
    Field(
        description="A type of `GET /instance-types`.",
        examples=["small"],
        json_schema_extra=one_of_catalogue("instance-types"),
    ),
]
ImageName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=100),
    Field(
        description="An image of `GET /images`.", examples=["debian-12"], json_schema_extra=one_of_catalogue("images")
    ),
]


class TemplateCreate(WriteModel):
    """The template that is to be kept."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    name: TemplateName
    instance_type: TypeName
    image: ImageName
    labels: Labels = Field(default_factory=dict)
    ssh_keys: KeyIds = Field(default_factory=list)
    delete_protection: bool = Field(default=False, description="Whether its VMs are protected against deletion.")
    user_data: UserData = ""


class TemplateUpdate(WriteModel):
    """What is to be different; what is left out or null stays as it is."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"instance_type": "medium"}]})

    name: TemplateName | None = Field(default=None, description="The new name, unique among yours.")
    instance_type: TypeName | None = Field(default=None, description="Another type of `GET /instance-types`.")
    image: ImageName | None = Field(default=None, description="Another image of `GET /images`.")
    labels: Labels | None = Field(default=None, description="The new labels; they replace all that were there.")
    ssh_keys: KeyIds | None = Field(default=None, description="The new keys; they replace all that were there.")
    delete_protection: bool | None = Field(default=None, description="Whether its VMs are protected against deletion.")
    user_data: UserData | None = Field(default=None, description="Other user data.")


class TemplateResponse(ReadModel):
    """A template that you keep."""

    id: UUID = Field(examples=["01936b62-3e4f-7c33-9d6e-7f405b8c9d23"])
    name: str = Field(examples=["web server"])
    instance_type: str = Field(examples=["small"])
    image: str = Field(examples=["debian-12"])
    labels: dict[str, str] = Field(examples=[{"tier": "web"}])
    ssh_keys: list[UUID] = Field(validation_alias="ssh_key_ids", description="Ids of your SSH keys.")
    delete_protection: bool
    has_user_data: bool = Field(description="Whether it brings user data, which is not shown.")
    created_at: datetime
    updated_at: datetime | None
