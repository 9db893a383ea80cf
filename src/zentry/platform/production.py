"""What a production platform refuses to start with: every problem at once, each with its remedy."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from zentry.platform.keys import MIN_KEY_LENGTH
from zentry.platform.settings import MIN_PRODUCTION_BCRYPT_COST, Environment, Settings
from zentry.platform.starting import CannotStart

_KNOWN_SECRETS: Final = ("changeme", "change-me", "change_me", "secret", "password", "default", "example", "insecure")
_MIN_DISTINCT: Final = 10
_ENCRYPTED: Final = frozenset({"require", "verify-ca", "verify-full"})


@dataclass(frozen=True, slots=True)
class Problem:
    """A setting that must not stand, why, and what to do."""

    setting: str
    why: str
    fix: str
    fatal: bool = True


class InsecureSettings(CannotStart):
    """Production settings with which the platform does not start."""

    def __init__(self, found: list[Problem]) -> None:
        self.problems = found
        lines = [f"  {problem.setting}\n    {problem.why}\n    {problem.fix}" for problem in found]
        super().__init__("These settings are not safe in production (ZENTRY_ENV=production):\n\n" + "\n".join(lines))


def ensure_safe(settings: Settings) -> None:
    """Raise `InsecureSettings` if anything stands against starting."""
    found = [problem for problem in problems(settings) if problem.fatal]
    if found:
        raise InsecureSettings(found)


def problems(settings: Settings) -> list[Problem]:
    """Return everything that is wrong for production; nothing in other environments."""
    if settings.env is not Environment.PRODUCTION:
        return []
    return [problem for check in _CHECKS for problem in check(settings)]


def _signing_key(settings: Settings) -> Iterator[Problem]:
    setting = "ZENTRY_SECURITY__SIGNING_KEY"
    fix = "Set a random one, the same in every process: python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"
    key = settings.security.signing_key.get_secret_value()
    if not key:
        if not _is_sqlite(settings):
            yield Problem(
                setting, "It is empty, so each machine would make a key of its own and refuse the others' tokens.", fix
            )
        return
    yield from _guessable(setting, key, fix)


def _encryption_keys(settings: Settings) -> Iterator[Problem]:
    fix = "Set random ones: python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"
    for key in settings.security.encryption_keys:
        yield from _guessable("ZENTRY_SECURITY__ENCRYPTION_KEYS", key.get_secret_value(), fix)


def _guessable(setting: str, key: str, fix: str) -> Iterator[Problem]:
    if len(key) < MIN_KEY_LENGTH:
        yield Problem(setting, f"It has fewer than {MIN_KEY_LENGTH} characters, so it can be guessed.", fix)
    elif len(set(key)) < _MIN_DISTINCT or any(known in key.lower() for known in _KNOWN_SECRETS):
        yield Problem(setting, "It looks like an example or a repeated pattern, so it can be guessed.", fix)


def _cors(settings: Settings) -> Iterator[Problem]:
    server = settings.server
    if not any("*" in origin for origin in server.cors_origins):
        return
    if server.cors_credentials:
        why = "A wildcard with ZENTRY_SERVER__CORS_CREDENTIALS lets every web site act with its visitors' cookies."
    else:
        why = "A wildcard lets every web site call the API from its visitors' browsers."
    yield Problem("ZENTRY_SERVER__CORS_ORIGINS", why, """Name the origins: '["https://console.example.com"]'.""")


def _sqlite(settings: Settings) -> Iterator[Problem]:
    if _is_sqlite(settings) and not settings.database.allow_sqlite_in_production:
        yield Problem(
            "ZENTRY_DATABASE__URL",
            "It names SQLite, which is one process on one disk.",
            "Set postgresql://…, or accept that with ZENTRY_DATABASE__ALLOW_SQLITE_IN_PRODUCTION=true.",
        )


def _postgresql(settings: Settings) -> Iterator[Problem]:
    if _is_sqlite(settings):
        return
    url = sa.make_url(settings.resolved_database.url)
    host = url.host or str(url.query.get("host", ""))
    mode = str(url.query.get("sslmode") or url.query.get("ssl") or "")
    if not _is_local(host) and mode not in _ENCRYPTED:
        yield Problem(
            "ZENTRY_DATABASE__URL",
            f"The connection to {host} is not held to TLS, so passwords and data may cross the network in the clear.",
            "Add ?sslmode=verify-full to the URL, or ?sslmode=require where its certificate cannot be checked.",
        )


def _self_service_credit(settings: Settings) -> Iterator[Problem]:
    if settings.billing.self_service_credit:
        yield Problem(
            "ZENTRY_BILLING__SELF_SERVICE_CREDIT",
            "Every user may add credits to their own account, so machines are free.",
            "Set it to false; administrators can still add credits.",
        )


def _bcrypt_cost(settings: Settings) -> Iterator[Problem]:
    if settings.security.bcrypt_cost < MIN_PRODUCTION_BCRYPT_COST:
        yield Problem(
            "ZENTRY_SECURITY__BCRYPT_COST",
            f"{settings.security.bcrypt_cost} makes stolen password hashes cheap to try.",
            f"Set it to {MIN_PRODUCTION_BCRYPT_COST} or more; 12 is the default.",
        )


def _mail(settings: Settings) -> Iterator[Problem]:
    mail = settings.mail
    if mail.transport != "smtp":
        yield Problem(
            "ZENTRY_MAIL__TRANSPORT",
            "Mails are not sent, so nobody can reset a password.",
            "Set it to smtp, and ZENTRY_MAIL__HOST to your mail server.",
            fatal=False,
        )
    elif mail.tls == "none" and not _is_local(mail.host):
        yield Problem(
            "ZENTRY_MAIL__TLS",
            f"Mails with links that open accounts cross the network to {mail.host} in the clear.",
            "Set it to starttls or tls.",
        )


def _log_format(settings: Settings) -> Iterator[Problem]:
    if settings.log.format == "console":
        yield Problem(
            "ZENTRY_LOG__FORMAT",
            "The console format is for people; log stores cannot search it.",
            "Set it to json.",
            fatal=False,
        )


_CHECKS: Final[tuple[Callable[[Settings], Iterator[Problem]], ...]] = (
    _signing_key,
    _encryption_keys,
    _cors,
    _sqlite,
    _postgresql,
    _self_service_credit,
    _bcrypt_cost,
    _mail,
    _log_format,
)


def _is_sqlite(settings: Settings) -> bool:
    return settings.resolved_database.url.startswith("sqlite")


def _is_local(host: str) -> bool:
    if host in {"", "localhost"} or host.startswith("/"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
