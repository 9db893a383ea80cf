"""What a token may be used for: `resource:verb`, read off method and path, in this one place for every route.

A session may do whatever its account may. A token has scopes, and a request with one needs the
scope of its route: the resource of the first part of the path, `read` for a look and `write` for the
rest. A path that stands in no rule is closed to tokens, so a new route is never open by oversight;
a test asks that every route has a rule.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from zentry.platform.errors import NotAllowed

_READS: Final = frozenset({"GET", "HEAD"})

RESOURCES: Final[Mapping[str, str]] = {
    "admin": "admin",
    "alerts": "monitoring",
    "audit": "events",
    "billing": "billing",
    "events": "events",
    "health": "monitoring",
    "invitations": "projects",
    "monitoring": "monitoring",
    "operations": "operations",
    "projects": "projects",
    "quotas": "projects",
    "snapshots": "vms",
    "ssh-keys": "ssh_keys",
    "templates": "templates",
    "vms": "vms",
    "webhooks": "webhooks",
}
"""The resource of each first part of a path."""

OWN_ACCOUNT: Final[Mapping[tuple[str, str], str]] = {
    ("GET", "/auth/me"): "account:read",
    ("PUT", "/auth/profile"): "account:write",
}
"""What a token may do with its own account."""

SESSIONS_ONLY: Final = "auth"
"""Passwords, sessions, factors and tokens themselves: a token that could touch them could outlive its revocation."""

SCOPES: Final = frozenset(
    {f"{resource}:{verb}" for resource in RESOURCES.values() for verb in ("read", "write")} | {*OWN_ACCOUNT.values()}
)


class InsufficientScope(NotAllowed):
    """The token lacks the scope that this needs."""

    code = "INSUFFICIENT_SCOPE"

    def __init__(self, needed: str | None) -> None:
        if needed is None:
            super().__init__("This cannot be done with a personal access token. Log in and use a session.")
            return
        super().__init__(
            f"This token does not have the scope {needed}. Make one that has it.",
            headers={"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{needed}"'},
            required_scope=needed,
        )


LIMITABLE: Final = frozenset(
    f"{resource}:{verb}" for resource in ("operations", "projects", "vms") for verb in ("read", "write")
)
"""What a token may be used for that is limited to projects; the rest belongs to the account as a whole."""

_BEYOND_PROJECTS: Final = frozenset(
    {
        ("GET", "/quotas"),
        ("GET", "/quotas/drift"),
        ("POST", "/invitations/accept"),
        ("POST", "/projects"),
        ("POST", "/projects/{project_id}/transfer/accept"),
    }
)
"""What has one of these scopes and still is about the account: all of its quotas, and projects that come to it."""


class BeyondProjects(NotAllowed):
    """The token is limited to projects, and this concerns the account as a whole."""

    code = "TOKEN_LIMITED_TO_PROJECTS"

    def __init__(self) -> None:
        super().__init__("This token is limited to projects. Use one that is not, or a session.")


def scope_of(method: str, path: str) -> str | None:
    """Return the scope that a route needs; None where no token will do."""
    own = OWN_ACCOUNT.get((method, path))
    if own is not None:
        return own
    resource = RESOURCES.get(path.lstrip("/").partition("/")[0])
    if resource is None:
        return None
    return f"{resource}:{'read' if method in _READS else 'write'}"


def ensure_scope(scopes: Collection[str], *, is_limited: bool, method: str, path: str) -> None:
    """Raise `InsufficientScope` unless the scopes hold what the route needs, and `BeyondProjects` where limits end."""
    needed = scope_of(method, path)
    if needed is None or needed not in scopes:
        raise InsufficientScope(needed)
    if is_limited and (needed not in LIMITABLE or (method, path) in _BEYOND_PROJECTS):
        raise BeyondProjects
