"""Scenarios as TOML files: who uses the platform and what goes wrong. What does not fit is refused by its name."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from zentry.platform.settings import Environment, Settings
from zentry.platform.starting import CannotStart

SHIPPED: Final = Path(__file__).parent / "scenarios"
MOST_VMS: Final = 100_000

Share = Annotated[float, Field(ge=0, le=1)]
Hours = Annotated[float, Field(gt=0, le=24 * 3650)]


class BadScenario(CannotStart):
    """A scenario that cannot be simulated; the message names everything that is wrong with it."""

    def __init__(self, name: str, lines: Sequence[str]) -> None:
        self.lines = list(lines)
        super().__init__(f"The scenario {name} does not fit:\n\n" + "\n".join(f"  {line}" for line in lines))


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Users(_Table):
    """Who comes, and when."""

    count: int = Field(ge=1, le=100_000, description="How many sign up.")
    arrive_within_hours: float = Field(1.0, ge=0, le=24 * 365, description="They arrive evenly within this time.")
    decide_every_hours: Hours = Field(1.0, description="Mean time between a user's decisions.")


class Machines(_Table):
    """What users do with machines."""

    per_user: int = Field(ge=0, le=10_000, description="How many a user wants to have at once.")
    types: dict[str, Annotated[int, Field(ge=0, le=1_000_000)]] = Field(
        {"small": 6, "medium": 3, "large": 1}, description="Instance types by weight."
    )
    lifetime_hours: Hours = Field(240.0, description="Mean time until a machine is deleted.")
    fiddle: Share = Field(0.1, description="Chance that a decision stops, starts or restarts one of the machines.")
    haste: Share = Field(0.0, description="Chance that an order is followed at once by another that contradicts it.")

    @model_validator(mode="after")
    def _has_weight(self) -> Machines:
        if not any(self.types.values()):
            raise ValueError("at least one instance type needs a weight above 0")
        return self


class Night(_Table):
    """Machines that rest at night."""

    share: Share = Field(0.0, description="Share of the users who stop their machines at night.")
    from_hour: int = Field(20, ge=0, le=23, description="The hour (UTC) at which they stop them.")
    to_hour: int = Field(7, ge=0, le=23, description="The hour at which they start them again.")


class TopUps(_Table):
    """How users pay."""

    share: Share = Field(1.0, description="Share of the users who ever add credits.")
    below_credits: float = Field(10.0, ge=0, description="They add credits when less than this is available.")
    amount: float = Field(50.0, gt=0, le=10_000, description="How many.")


class Workers(_Table):
    """The worker processes."""

    count: int = Field(1, ge=1, le=64, description="How many there are at once.")
    restart_seconds: float = Field(5.0, ge=0, le=3600, description="Longest time until a killed one is replaced.")


class FaultTable(_Table):
    """What goes wrong, as the chance of it each time that it could."""

    unavailable: Share = Field(0.0, description="The driver refuses an order for now.")
    rejected: Share = Field(0.0, description="The driver refuses to create, boot or reboot a machine for good.")
    lost_reply: Share = Field(0.0, description="An order is carried out and nobody hears of it.")
    slow: Share = Field(0.0, description="An order takes `slow_seconds` longer.")
    slow_seconds: float = Field(30.0, ge=0, le=3600, description="How much longer.")
    kill: Share = Field(0.0, description="A worker dies before, inside or after a unit of work, or while it waits.")
    freeze: Share = Field(0.0, description="A worker stands still for up to `freeze_seconds`, and then goes on.")
    freeze_seconds: float = Field(45.0, ge=0, le=3600, description="How long; beyond its lease it is a zombie.")
    jitter: Share = Field(0.0, description="A worker waits for up to two seconds before a unit of work.")

    @model_validator(mode="after")
    def _leaves_a_chance(self) -> FaultTable:
        if self.unavailable + self.rejected + self.lost_reply + self.slow > 1:
            raise ValueError("unavailable, rejected, lost_reply and slow together exceed 1")
        return self


class HostFailures(_Table):
    """Hosts that fail, and come back."""

    every_hours: float = Field(0.0, ge=0, le=24 * 365, description="Mean time between two failures; 0 is never.")
    back_after_minutes: float = Field(30.0, gt=0, le=60 * 24 * 30, description="Mean time until a host is back.")
    unreachable: Share = Field(0.3, description="Share of the failures in which a host runs on, cut off.")
    shrink: Share = Field(0.1, description="Share of the failures in which a host loses half of what it offers.")

    @model_validator(mode="after")
    def _leaves_a_chance(self) -> HostFailures:
        if self.unreachable + self.shrink > 1:
            raise ValueError("unreachable and shrink together exceed 1")
        return self


class Scenario(_Table):
    """A scenario as it is written down."""

    title: str = Field(min_length=1, max_length=120)
    description: str = Field("", max_length=2000)
    days: float = Field(gt=0, le=3650, description="How long it lasts, unless --days says otherwise.")
    start: AwareDatetime = Field(
        datetime(2026, 3, 2, tzinfo=UTC),
        ge=datetime(2024, 1, 1, tzinfo=UTC),
        le=datetime(2100, 1, 1, tzinfo=UTC),
        description="The instant at which it begins.",
    )
    users: Users
    machines: Machines
    night: Night = Night()
    top_ups: TopUps = TopUps()
    workers: Workers = Workers()
    faults: FaultTable = FaultTable()
    host_failures: HostFailures = HostFailures()
    settings: dict[str, dict[str, Any]] = Field({}, description="Settings of the platform, by group and field.")

    @model_validator(mode="after")
    def _is_bounded(self) -> Scenario:
        if self.users.count * self.machines.per_user > MOST_VMS:
            raise ValueError(
                f"{self.users.count} users with {self.machines.per_user} machines each are more than {MOST_VMS:,}"
            )
        return self

    def platform_settings(self) -> Settings:
        """Return the platform's settings: the scenario's over what suits a simulation, never the environment."""
        names = [*_SUITABLE, *self.settings]
        groups: dict[str, Any] = {
            name: {**_SUITABLE.get(name, {}), **self.settings.get(name, {})} for name in dict.fromkeys(names)
        }
        return _ScenarioSettings(env=Environment.TEST, data_dir=Path(":memory:"), **groups)


class _ScenarioSettings(Settings):
    """Settings that do not look at the environment: a simulation depends on its scenario and its seed alone."""

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, *_: Any, **__: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read what is given and nothing else."""
        del settings_cls
        return (init_settings,)


# A queue that is woken by signals needs no short poll, and nobody watches who would miss the minute.
_SUITABLE: Final[Mapping[str, Mapping[str, Any]]] = {
    "security": {"signing_key": "simulated, and so known to everybody", "bcrypt_cost": 4},
    "limits": {"signin_per_minute": 0, "writes_per_minute": 0, "reads_per_minute": 0, "anonymous_per_minute": 0},
    "operations": {"poll_seconds": 3600.0, "sweep_seconds": 3600.0},
    "events": {"poll_seconds": 3600.0, "gather_seconds": 60.0},
    "billing": {
        "meter_interval_seconds": 60.0,
        "renew_before_seconds": 600,
        "suspend_before_seconds": 120,
        "resume_seconds": 3600.0,
    },
    "monitoring": {"sample_seconds": 3600.0},
    "reconciler": {"interval_seconds": 1800.0, "orphan_grace_seconds": 3600.0},
}


def shipped_scenarios() -> list[str]:
    """Return the names of the scenarios that come with the program."""
    return sorted(path.stem for path in SHIPPED.glob("*.toml"))


def load_scenario(name: str) -> Scenario:
    """Return a scenario from a file, or one that comes with the program, or raise `BadScenario`."""
    path = Path(name)
    if path.suffix != ".toml":
        path = SHIPPED / f"{name}.toml"
        if not path.is_file():
            near = difflib.get_close_matches(name, shipped_scenarios(), n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            known = ", ".join(shipped_scenarios())
            raise BadScenario(name, [f"there is no such scenario.{hint} Known: {known}; or name a .toml file."])
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadScenario(name, ["there is no such file."]) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadScenario(name, [f"it cannot be read: {error}."]) from error
    return parse_scenario(document, name=name)


def parse_scenario(document: Mapping[str, Any], *, name: str) -> Scenario:
    """Return the scenario that a document describes, or raise `BadScenario`."""
    try:
        scenario = Scenario.model_validate(dict(document))
    except ValidationError as error:
        raise BadScenario(name, [_line(one, Scenario) for one in error.errors()]) from error
    try:
        scenario.platform_settings()
    except ValidationError as error:
        raise BadScenario(name, [_line(one, Settings, prefix="settings.") for one in error.errors()]) from error
    return scenario


def _line(error: Any, model: type[BaseModel], *, prefix: str = "") -> str:
    location = [str(part) for part in error["loc"]]
    name = prefix + ".".join(location)
    if error["type"] == "extra_forbidden":
        return f"{name}: there is no such key.{_nearest(location, model, prefix)}"
    given = "" if isinstance(error["input"], dict) else f" (it is {repr(error['input'])[:60]})"
    message = str(error["msg"]).removeprefix("Value error, ").replace("Input should be", "must be")
    return f"{name or 'the whole'}: {message}{given}."


def _nearest(location: Sequence[str], model: type[BaseModel], prefix: str) -> str:
    group: Any = model
    for part in location[:-1]:
        field = group.model_fields.get(part)
        group = field.annotation if field else None
        if not (isinstance(group, type) and issubclass(group, BaseModel)):
            return ""
    near = difflib.get_close_matches(location[-1], list(group.model_fields), n=1)
    return f" Did you mean {prefix}{'.'.join([*location[:-1], near[0]])}?" if near else ""
