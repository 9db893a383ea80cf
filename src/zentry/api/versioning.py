"""Routes about the versions of this API."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Final, Literal

import structlog
from fastapi import APIRouter, Path, Query
from pydantic import Field

from zentry.api.versions import CURRENT, SUPPORT_CONTACT, VERSIONS, Version
from zentry.platform.clock import Clock
from zentry.platform.errors import NotFound
from zentry.platform.web import ClockDep, raises
from zentry.platform.wire import ReadModel

_log = structlog.get_logger(__name__)

_MAX_NAME: Final = 200


class UnknownVersion(NotFound):
    """There is no such version of the API."""

    def __init__(self) -> None:
        super().__init__("API version", available_versions=list(VERSIONS))


class Compatibility(ReadModel):
    """What callers may rely on."""

    backwards_compatible: bool
    breaking_changes_in_next: bool


class CurrentVersion(ReadModel):
    """The version that answers."""

    current_version: str = Field(examples=["1.0.0"])
    api_status: str = Field(examples=["stable"])
    release_date: date
    description: str
    supported_versions: list[str]
    deprecation_notices: list[str]
    upgrade_path: str | None
    compatibility: Compatibility
    timestamp: datetime


class VersionEntry(ReadModel):
    """One version."""

    status: str = Field(examples=["stable"])
    release_date: date
    description: str
    breaking_changes: list[str]
    deprecated_features: list[str]
    new_features: list[str]
    supported_until: date | None


class VersionList(ReadModel):
    """Every version."""

    versions: dict[str, VersionEntry]
    current_version: str
    total_versions: int
    deprecated_count: int
    supported_versions: list[str]
    timestamp: datetime


class VersionDetails(VersionEntry):
    """One version, and whether it is the current one."""

    version: str
    is_current: bool
    is_supported: bool
    timestamp: datetime


class FeatureDifferences(ReadModel):
    """What differs between two versions."""

    added: list[str]
    removed: list[str]
    deprecated: list[str]


class VersionComparison(ReadModel):
    """What moving between two versions takes."""

    from_version: str
    to_version: str
    compatible: bool
    breaking_changes: list[str]
    migration_required: bool
    migration_guide: str | None
    feature_differences: FeatureDifferences
    timestamp: datetime


class ChangeLists(ReadModel):
    """Changes by kind."""

    added: list[str]
    changed: list[str]
    deprecated: list[str]
    removed: list[str]
    fixed: list[str]
    security: list[str]


class ChangelogEntry(ReadModel):
    """The changes of one version."""

    version: str
    release_date: date
    type: str = Field(examples=["major"])
    description: str
    changes: ChangeLists
    breaking_changes: list[str]
    migration_notes: str | None


class Changelog(ReadModel):
    """The changes of versions, newest first."""

    changelog: list[ChangelogEntry]
    total_entries: int
    filtered_by_version: str | None
    timestamp: datetime


class DeprecationNotice(ReadModel):
    """What was recorded."""

    feature: str
    version: str
    client_info: str | None
    recorded_at: datetime
    migration_guide: str | None
    support_contact: str


class DeprecationNoticeResponse(ReadModel):
    """The answer to a notice."""

    success: Literal[True] = True
    message: str
    data: DeprecationNotice


_VersionName = Annotated[str, Field(min_length=1, max_length=50, examples=["1.0.0"])]


router = APIRouter(prefix="/api", tags=["API Versioning"])


@router.get("/version", summary="Show the current version")
async def get_api_version(clock: ClockDep) -> CurrentVersion:
    """Return the version that answers, and what callers may rely on."""
    current = VERSIONS[CURRENT]
    return CurrentVersion(
        current_version=current.number,
        api_status=current.status,
        release_date=current.released,
        description=current.description,
        supported_versions=_supported(clock),
        deprecation_notices=list(current.deprecated_features),
        upgrade_path=None,
        compatibility=Compatibility(backwards_compatible=True, breaking_changes_in_next=False),
        timestamp=clock.now(),
    )


@router.get("/versions", summary="List every version")
async def list_api_versions(clock: ClockDep) -> VersionList:
    """Return every version with its state and its features."""
    return VersionList(
        versions={number: _entry(version) for number, version in VERSIONS.items()},
        current_version=CURRENT,
        total_versions=len(VERSIONS),
        deprecated_count=sum(version.status == "deprecated" for version in VERSIONS.values()),
        supported_versions=_supported(clock),
        timestamp=clock.now(),
    )


@router.get("/version/{version}", summary="Show one version", responses=raises(UnknownVersion))
async def get_api_version_details(
    clock: ClockDep,
    version: Annotated[str, Path(description="Number of a version.", examples=["1.0.0"])],
) -> VersionDetails:
    """Return one version; an unknown one is 404 with the known ones in `details`."""
    found = _get(version)
    return VersionDetails(
        **_entry(found).model_dump(),
        version=found.number,
        is_current=found.number == CURRENT,
        is_supported=found.number in _supported(clock),
        timestamp=clock.now(),
    )


@router.get("/compatibility", summary="Compare two versions", responses=raises(UnknownVersion))
async def compare_api_versions(
    clock: ClockDep,
    from_version: Annotated[_VersionName, Query(description="Version to leave.", examples=["1.0.0"])],
    to_version: Annotated[_VersionName, Query(description="Version to reach.", examples=["1.0.0"])],
) -> VersionComparison:
    """Return what moving from one version to another takes."""
    start, end = _get(from_version), _get(to_version)
    breaking = _breaking_between(start, end)
    return VersionComparison(
        from_version=start.number,
        to_version=end.number,
        compatible=not breaking,
        breaking_changes=breaking,
        migration_required=bool(breaking),
        migration_guide=end.migration_guide,
        feature_differences=FeatureDifferences(
            added=sorted(end.features - start.features),
            removed=sorted(start.features - end.features),
            deprecated=list(end.deprecated_features),
        ),
        timestamp=clock.now(),
    )


@router.get("/changelog", summary="Read the changes", responses=raises(UnknownVersion))
async def get_api_changelog(
    clock: ClockDep,
    limit: Annotated[int, Query(ge=1, le=50, description="Most versions to return.")] = 10,
    version: Annotated[_VersionName | None, Query(description="Only this version.", examples=["1.0.0"])] = None,
) -> Changelog:
    """Return the changes of versions, newest first."""
    chosen = [_get(version)] if version is not None else list(VERSIONS.values())[::-1]
    return Changelog(
        changelog=[_log_entry(one) for one in chosen[:limit]],
        total_entries=len(chosen),
        filtered_by_version=version,
        timestamp=clock.now(),
    )


@router.post("/deprecation-notice", summary="Tell that a feature is in use", responses=raises(UnknownVersion))
async def record_deprecation_notice(
    clock: ClockDep,
    feature: Annotated[
        str, Query(min_length=1, max_length=_MAX_NAME, description="Feature that a client uses.", examples=["vms"])
    ],
    version: Annotated[_VersionName, Query(description="Version that it uses.", examples=["1.0.0"])],
    client_info: Annotated[
        str | None, Query(max_length=_MAX_NAME, description="Name and version of the client.", examples=["cli/2.1"])
    ] = None,
) -> DeprecationNoticeResponse:
    """Record that a client uses a feature, so that it is known who depends on it."""
    found = _get(version)
    _log.info("api.deprecation_notice", feature=feature, version=found.number, client_info=client_info)
    return DeprecationNoticeResponse(
        message=f"The use of {feature!r} in version {found.number} is recorded.",
        data=DeprecationNotice(
            feature=feature,
            version=found.number,
            client_info=client_info,
            recorded_at=clock.now(),
            migration_guide=found.migration_guide,
            support_contact=SUPPORT_CONTACT,
        ),
    )


def _get(number: str) -> Version:
    version = VERSIONS.get(number)
    if version is None:
        raise UnknownVersion
    return version


def _supported(clock: Clock) -> list[str]:
    today = clock.now().date()
    return [one.number for one in VERSIONS.values() if one.supported_until is None or one.supported_until >= today]


def _breaking_between(start: Version, end: Version) -> list[str]:
    order = list(VERSIONS)
    passed = order[order.index(start.number) + 1 : order.index(end.number) + 1]
    return [change for number in passed for change in VERSIONS[number].breaking_changes]


def _entry(version: Version) -> VersionEntry:
    return VersionEntry(
        status=version.status,
        release_date=version.released,
        description=version.description,
        breaking_changes=list(version.breaking_changes),
        deprecated_features=list(version.deprecated_features),
        new_features=list(version.changes.added),
        supported_until=version.supported_until,
    )


def _log_entry(version: Version) -> ChangelogEntry:
    return ChangelogEntry(
        version=version.number,
        release_date=version.released,
        type=version.kind,
        description=version.description,
        changes=ChangeLists.model_validate(version.changes),
        breaking_changes=list(version.breaking_changes),
        migration_notes=version.migration_guide,
    )
