"""Who may ask what: every operation of the document against everybody who might ask.

The rules stand in tests/support/access.py. Each operation is asked by nobody, with tokens that are
none any more, by strangers, by people of other projects, by each role, by its owner and by an administrator.
What is not seen is answered exactly like what never was: status, body and the names of the headers.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any, Final

import httpx
import jwt
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from tests.support.access import RULES, Rule, Whose
from tests.support.contents import contents
from tests.support.document import Operation, operations
from tests.support.platform import Account, PlatformUnderTest
from tests.support.seeded import NAMES, UNKNOWN, Ids, Seeded, seed
from zentry.platform.caller import ProjectRole
from zentry.platform.scopes import LIMITABLE, scope_of
from zentry.platform.web import AdminDep
from zentry.projects.access import RIGHTS

ENVELOPE: Final = frozenset(
    {
        "success",
        "error_code",
        "message",
        "details",
        "timestamp",
        "type",
        "title",
        "status",
        "detail",
        "instance",
        "request_id",
    }
)
Place = tuple[str, str]
LISTS: Final = {"ssh_keys": "key_id", "project_ids": "project_id"}
"""Fields of bodies that are lists of ids, and whose ids they are."""
LAST: Final = ("DELETE /auth/sessions", "DELETE /projects/{project_id}", "POST /auth/logout")
"""What an owner asks last: nothing is there any more afterwards."""


async def test_every_operation_has_a_rule_and_every_rule_an_operation(platform: PlatformUnderTest) -> None:
    there = {str(operation) for operation in operations(platform)}

    assert there == RULES.keys()
    assert {name for name in there if "/admin/" in name} <= _named(Whose.ADMIN)
    for operation in operations(platform):
        assert operation.is_secured == (_rule(operation).whose is not Whose.PUBLIC), operation
        if operation.is_secured and _rule(operation).whose is not Whose.ADMIN:
            assert operation.path_parameters <= set(NAMES), f"{operation}: say in seeded.py what these ids are"


async def test_one_check_of_the_role_stands_before_every_route_of_administrators(
    platform: PlatformUnderTest,
) -> None:
    check = AdminDep.__metadata__[0].dependency  # type: ignore[attr-defined]  # what Annotated carries
    checked = {
        f"{method} {route.path}"
        for route in platform.inner.app.routes
        if isinstance(route, APIRoute) and check in _calls(route.dependant)
        for method in route.methods or ()
    }

    assert checked == _named(Whose.ADMIN)


async def test_every_route_is_in_the_document_or_serves_it(platform: PlatformUnderTest) -> None:
    documented = {operation.path for operation in operations(platform)}

    there = {route.path for route in platform.inner.app.routes if hasattr(route, "path")}

    console = {"/console", "/console/{screen:path}", "/console/assets/{version}/{name:path}"}
    assert there - documented == {"/docs", "/redoc", "/openapi.json", "/docs/assets/{name}"} | console


async def test_nobody_gets_past_a_rule(platform: PlatformUnderTest) -> None:
    given = await seed(platform)
    before = await contents(platform.database)
    asked: list[httpx.Request] = []
    platform.client.event_hooks = {"request": [_noting(asked)]}

    if platform.database.dialect == "sqlite":  # A token is looked at before any statement of a route.
        await _refuses_what_is_no_token(platform, given)
        await _refuses_a_token_without_the_scope(platform, given)
        await _refuses_a_limited_token_what_is_the_accounts(platform, given)
    await _refuses_who_is_no_administrator(platform, given)
    await _hides_what_is_not_seen(platform, given)
    await _refuses_a_role_that_is_too_low(platform, given)

    assert await contents(platform.database) == before
    await _lets_the_right_ones_in(platform, given)
    number = sum(1 for _ in operations(platform))
    print(f"R11: {number} operations, asked {len(asked)} times")
    assert len(asked) > number * (15 if platform.database.dialect == "sqlite" else 8)


def _noting(asked: list[httpx.Request]) -> Callable[[httpx.Request], Awaitable[None]]:
    async def note(request: httpx.Request) -> None:
        asked.append(request)

    return note


async def _refuses_what_is_no_token(platform: PlatformUnderTest, given: Seeded) -> None:
    """Each operation that demands a token refuses everything that is none, alike."""
    token = str(given.ada.tokens["access_token"])
    claims = jwt.decode(token, options={"verify_signature": False})
    head = jwt.get_unverified_header(token)
    refused = (
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer garbage",
        "Bearer a.b.c",
        "Bearer " + "a" * 5_000,
        f"Bearer {token}x",
        f"Bearer {token} {token}",
        f"Bearer {given.ada.tokens['refresh_token']}",
        "Bearer " + jwt.encode(claims, "", algorithm="none", headers={**head, "alg": "none"}),
        "Bearer " + jwt.encode(claims, "x" * 64, headers={**head, "alg": "HS256"}),
        f"Basic {token}",
        token,
        given.expired.headers["Authorization"],
        given.ended.headers["Authorization"],
    )
    for operation in operations(platform):
        for authorization in refused:
            headers = {} if authorization is None else {"Authorization": authorization}
            if operation.is_secured:
                answer = await _send(platform.client, operation, dict.fromkeys(NAMES, UNKNOWN), headers)
                assert answer.status_code == httpx.codes.UNAUTHORIZED, (operation, authorization)
                assert answer.headers["www-authenticate"] == "Bearer", operation
                assert answer.headers["content-type"] == "application/problem+json", operation
                assert answer.json().keys() == ENVELOPE, operation
                assert answer.json()["error_code"] == "AUTHENTICATION_ERROR", operation


async def _refuses_a_token_without_the_scope(platform: PlatformUnderTest, given: Seeded) -> None:
    """Whoever holds it may be allowed everything: the token is not."""
    for operation in _secured(platform):
        needed = _scope(operation)
        for scopes, headers in given.tokens:
            if needed not in scopes:
                answer = await _send(platform.client, operation, _filled(operation, given.ids), dict(headers))
                told = (answer.status_code, answer.json()["error_code"])
                assert told == (403, "INSUFFICIENT_SCOPE"), (operation, answer.text)


async def _refuses_a_limited_token_what_is_the_accounts(platform: PlatformUnderTest, given: Seeded) -> None:
    """What no project has is closed to a token that is limited to projects."""
    for operation in _secured(platform):
        if not _is_open_to_limited_tokens(operation):
            answer = await _send(platform.client, operation, _filled(operation, given.ids), dict(given.here))
            told = (answer.status_code, answer.json()["error_code"])
            expected = "INSUFFICIENT_SCOPE" if _scope(operation) not in LIMITABLE else "TOKEN_LIMITED_TO_PROJECTS"
            assert told == (403, expected), (operation, answer.text)


async def _refuses_who_is_no_administrator(platform: PlatformUnderTest, given: Seeded) -> None:
    for operation in _with(platform, Whose.ADMIN):
        for account in (given.ada, given.eve, *given.roles.values()):
            answer = await _send(platform.client, operation, _filled(operation, given.ids), account.headers)
            assert (answer.status_code, answer.json()["error_code"]) == (403, "AUTHORIZATION_ERROR"), operation


async def _hides_what_is_not_seen(platform: PlatformUnderTest, given: Seeded) -> None:
    """A stranger, somebody of another project and an administrator find what never was; so do its owner's deleted."""
    unknown = dict.fromkeys(NAMES, UNKNOWN)
    for operation in _secured(platform):
        for place in _places(operation):
            rule = _rule(operation)
            strangers = [given.eve, given.neighbour, given.admin]
            if rule.whose is Whose.PERSONAL or place[1] in {"key_id", "template_id"}:
                strangers += [given.roles["viewer"], given.roles["admin"]]
            if _is_open_to_limited_tokens(operation) and place[1] not in {"template_id", "ssh_keys"}:  # Her own.
                strangers.append(given.elsewhere)
            for account in strangers:
                expected = await _ask(platform, operation, place, unknown, account)
                assert expected.status_code == 404 or place[1] in rule.empty, operation
                for ids in _each(place, given):
                    foreign = await _ask(platform, operation, place, ids, account)
                    assert _told(foreign, ids) == _told(expected, unknown), (operation, place)
            if place[1] in given.deleted:
                ids = {**given.ids, place[1]: given.deleted[place[1]]}
                mine = {**given.ids, place[1]: UNKNOWN}
                gone = await _ask(platform, operation, place, ids, given.ada)
                expected = await _ask(platform, operation, place, mine, given.ada)
                if place == ("query", "project_id"):
                    continue  # Its owner may still filter by a project whose machines stay readable.
                assert _told(gone, {**given.ids, **ids}) == _told(expected, {**given.ids, **mine}), (operation, place)


async def _refuses_a_role_that_is_too_low(platform: PlatformUnderTest, given: Seeded) -> None:
    for operation in _with(platform, Whose.PROJECT):
        for role in ("viewer", "member", "admin"):
            if _rule(operation).right in RIGHTS[ProjectRole(role)]:
                continue
            body = {**(operation.example_body or {}), **_in_body(operation, given.ids)} or None
            answer = await _send(platform.client, operation, given.ids, given.roles[role].headers, body=body)
            told = answer.json()
            assert (answer.status_code, told["error_code"]) == (403, "PROJECT_ROLE_TOO_LOW"), (operation, answer.text)
            assert told["details"]["role"] == role, operation
            assert "403" in operation.what["responses"], f"{operation} does not document that it refuses a role"


async def _lets_the_right_ones_in(platform: PlatformUnderTest, given: Seeded) -> None:
    """Nothing refuses who may ask: last, since what is asked here has its effect."""
    looks = [one for one in operations(platform) if one.method == "GET" and str(one) != "GET /events/stream"]
    for operation in looks:
        for account in (given.roles["viewer"], given.ada):
            right = _rule(operation).right
            if _rule(operation).whose is Whose.ADMIN or (account is not given.ada and right not in RIGHTS[VIEWER]):
                continue
            if account is not given.ada and _rule(operation).whose is Whose.PERSONAL:
                continue
            answer = await _send(platform.client, operation, _filled(operation, given.ids), account.headers)
            assert answer.is_success, (operation, answer.text)
        if _is_open_to_limited_tokens(operation):
            answer = await _send(platform.client, operation, _filled(operation, given.ids), dict(given.here))
            assert answer.is_success, (operation, answer.text)
    acts = [operation for operation in operations(platform) if operation.method != "GET"]
    for operation in sorted(acts, key=_order):
        account = given.admin if _rule(operation).whose is Whose.ADMIN else given.ada
        body = {**(operation.example_body or {}), **_in_body(operation, given.ids)} or None
        answer = await _send(platform.client, operation, _filled(operation, given.ids), account.headers, body=body)
        refusals = {401, 403, 404} - _rule(operation).own
        if operation.method == "DELETE" or _rule(operation).whose is Whose.ADMIN:
            refusals -= {404}  # Another deletion may have taken it along.
        assert answer.status_code not in refusals, (operation, answer.text)
        assert answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR, (operation, answer.text)
    await platform.settle()


VIEWER: Final = ProjectRole.VIEWER


def _rule(operation: Operation) -> Rule:
    return RULES[str(operation)]


def _named(whose: Whose) -> set[str]:
    return {name for name, rule in RULES.items() if rule.whose is whose}


def _with(platform: PlatformUnderTest, whose: Whose) -> Iterator[Operation]:
    return (operation for operation in operations(platform) if _rule(operation).whose is whose)


def _secured(platform: PlatformUnderTest) -> Iterator[Operation]:
    return (operation for operation in operations(platform) if operation.is_secured)


def _scope(operation: Operation) -> str | None:
    return scope_of(operation.method, operation.path)


def _is_open_to_limited_tokens(operation: Operation) -> bool:
    """Tell whether a token that is limited to projects may ask: about what is in one, or for a list of what it sees."""
    lists = {"GET /projects", "GET /vms", "GET /vms/status/summary", "GET /snapshots", "GET /operations"}
    is_about_one = (
        _rule(operation).whose is Whose.PROJECT and str(operation) != "POST /projects/{project_id}/transfer/accept"
    )
    return _scope(operation) in LIMITABLE and (is_about_one or str(operation) in lists)


def _calls(dependant: Dependant) -> set[Any]:
    return {dependant.call, *(call for one in dependant.dependencies for call in _calls(one))}


def _order(operation: Operation) -> tuple[int, bool, int]:
    """What changes before what deletes, and the deepest first; then what ends everything."""
    name = str(operation)
    return LAST.index(name) if name in LAST else -1, operation.method == "DELETE", -len(operation.path)


def _places(operation: Operation) -> list[Place]:
    """Return where an operation takes the id of something owned."""
    if _rule(operation).whose in {Whose.PUBLIC, Whose.ADMIN}:
        return []
    known = set(NAMES)
    fields = (operation.body_schema or {}).get("properties", {}).keys()
    return [
        *(("path", name) for name in sorted(operation.path_parameters)),
        *(("query", name) for name in sorted(operation.query_parameters & known)),
        *(("body", name) for name in sorted(fields & known)),
        *(("body", name) for name in sorted(fields & LISTS.keys())),
    ]


def _each(place: Place, given: Seeded) -> Iterable[Ids]:
    """Return Ada's ids, with a machine in each state where the place names one."""
    if place[1] != "vm_id":
        return [given.ids]
    return [{**given.ids, "vm_id": vm} for vm in given.vms]


def _filled(operation: Operation, ids: Ids) -> Ids:
    """Return the ids, with the examples of what is nobody's."""
    return {**operation.example_path, **ids}


def _in_body(operation: Operation, ids: Ids) -> dict[str, str]:
    """Return the ids that stand in the example's body."""
    return {name: ids[name] for name in (operation.example_body or {}).keys() & set(NAMES)}


async def _ask(
    platform: PlatformUnderTest, operation: Operation, place: Place, ids: Ids, account: Account
) -> httpx.Response:
    where, name = place
    body = None
    if where == "body":
        value: Any = [ids[LISTS[name]]] if name in LISTS else ids[name]
        body = {**(operation.example_body or {}), name: value}
        if name == "snapshot_id":
            body.pop("image", None)
    params = {name: ids[name]} if where == "query" else None
    return await _send(platform.client, operation, ids, account.headers, params=params, body=body)


async def _send(
    client: httpx.AsyncClient,
    operation: Operation,
    ids: Ids,
    headers: dict[str, str],
    *,
    params: dict[str, str] | None = None,
    body: dict[str, Any] | None = None,
) -> httpx.Response:
    return await client.request(
        operation.method,
        operation.path.format(**_filled(operation, ids)),
        params={**operation.example_query, **(params or {})},
        json=body if body is not None else operation.example_body,
        headers=headers,
    )


def _told(answer: httpx.Response, ids: Ids) -> tuple[int, list[str], str]:
    """Return what an answer tells, without what differs between any two answers."""
    body = answer.json() if "json" in answer.headers["content-type"] else answer.text
    for name in ("timestamp", "request_id"):
        if isinstance(body, dict):
            body.pop(name, None)
    text = json.dumps(body, sort_keys=True)
    for id_ in ids.values():
        text = text.replace(id_, "ID")
    return answer.status_code, sorted(answer.headers), text
