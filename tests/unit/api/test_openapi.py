"""The OpenAPI document of the shell and of routes around it."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from random import Random
from typing import Any, Final, cast

import httpx
import pytest
from fastapi import APIRouter, FastAPI

from zentry.api.app import TAGS, create_app
from zentry.platform.clock import ManualClock
from zentry.platform.db import Database
from zentry.platform.db.migrations import Migrations
from zentry.platform.db.service import DatabaseService
from zentry.platform.errors import Conflict
from zentry.platform.settings import DatabaseSettings, Settings
from zentry.platform.signals import Signals
from zentry.platform.web import CallerDep, Edge, raises
from zentry.platform.wire import ReadModel, WriteModel

METHODS: Final = {"get", "post", "put", "patch", "delete"}


class CreateProject(WriteModel):
    name: str


class ProjectResponse(ReadModel):
    id: str
    name: str


class Taken(Conflict):
    """The name is taken."""

    code = "NAME_TAKEN"


def build() -> FastAPI:
    router = APIRouter(prefix="/projects", tags=["Projects"])

    @router.post("", status_code=201, responses=raises(Taken))
    async def create_project(body: CreateProject, caller: CallerDep) -> ProjectResponse:
        """Create a project."""
        return ProjectResponse(id=str(caller.user_id), name=body.name)

    @router.get("/{project_id}")
    async def get_project(project_id: str, caller: CallerDep) -> ProjectResponse:
        """Show a project."""
        return ProjectResponse(id=project_id, name=str(caller.user_id))

    clock = ManualClock(datetime(2026, 1, 31, tzinfo=UTC))
    database = Database(
        DatabaseSettings(url="sqlite:///never-opened.db"), clock=clock, random=Random(1), signals=Signals()
    )

    async def cleanup(*, retention_days: int) -> dict[str, int]:
        return {"days": retention_days}

    return create_app(
        settings=Settings(_env_file=None),
        edge=Edge(database, {}),
        routers=[router],
        clock=clock,
        database_service=DatabaseService(database, Migrations(database)),
        cleanup=cleanup,
    )


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return build().openapi()


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    ]


def test_the_document_says_who_stands_behind_it(document: dict[str, Any]) -> None:
    assert document["info"]["title"] == "Zentry Cloud API"
    assert document["info"]["version"] == "1.0.0"
    assert set(document["info"]["contact"]) == {"name", "email"}
    assert set(document["info"]["license"]) == {"name", "url"}
    assert [server["url"] for server in document["servers"]] == ["/", "/v1"]
    assert [(tag["name"], bool(tag["description"])) for tag in document["tags"]] == [(name, True) for name, _ in TAGS]


def test_the_document_is_the_same_each_time(document: dict[str, Any]) -> None:
    assert json.dumps(build().openapi()) == json.dumps(document)


def test_nothing_is_left_of_the_framework_s_own_422(document: dict[str, Any]) -> None:
    text = json.dumps(document)

    assert "HTTPValidationError" not in text
    assert all("422" not in operation["responses"] for _, _, operation in operations(document))


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    for reference in set(re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document))):
        found: Any = document
        for part in reference.split("/"):
            found = found[part]
        assert found is not None


def test_every_operation_is_named_described_and_tagged(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]

    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z][a-z0-9_]+", name) for name in names)
    known = {name for name, _ in TAGS}
    for path, method, operation in operations(document):
        assert operation["summary"], (path, method)
        assert operation["description"], (path, method)
        assert set(operation["tags"]) <= known, (path, method)
        if path.startswith("/projects"):
            continue
        assert all(parameter.get("description") for parameter in operation.get("parameters", ())), (path, method)


def test_every_operation_lists_the_errors_of_the_shell(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        expected = {"400", "405", "429", "500", "503"}
        expected |= {"401"} if "security" in operation else set()
        expected |= {"404"} if "{" in path else set()
        expected |= {"408", "413", "415"} if method in {"post", "put", "patch"} else set()
        assert expected <= set(operation["responses"]), (path, method)
        for status, answer in operation["responses"].items():
            if status >= "400":
                shown = (
                    cast("dict[str, Any]", document["components"]["responses"][answer["$ref"].split("/")[-1]])
                    if "$ref" in answer
                    else answer
                )
                assert "application/problem+json" in shown["content"], (path, method, status)


def test_an_error_of_a_route_keeps_its_own_words(document: dict[str, Any]) -> None:
    conflict = document["paths"]["/projects"]["post"]["responses"]["409"]

    assert conflict["description"] == "`NAME_TAKEN`: The name is taken."


def test_secured_operations_ask_for_the_bearer_token(document: dict[str, Any]) -> None:
    schemes = document["components"]["securitySchemes"]

    assert [(scheme["type"], scheme["scheme"], bool(scheme["description"])) for scheme in schemes.values()] == [
        ("http", "bearer", True)
    ]
    assert document["paths"]["/projects"]["post"]["security"]
    assert "security" not in document["paths"]["/health"]["get"]


def test_links_lead_from_an_answer_to_the_calls_that_are_there(document: dict[str, Any]) -> None:
    links = document["paths"]["/projects"]["post"]["responses"]["201"]["links"]

    assert links == {"GetProject": {"operationId": "get_project", "parameters": {"project_id": "$response.body#/id"}}}


async def test_the_served_document_is_the_built_one_and_is_revalidated(document: dict[str, Any]) -> None:
    transport = httpx.ASGITransport(app=build())
    async with httpx.AsyncClient(transport=transport, base_url="http://zentry") as client:
        first = await client.get("/openapi.json", headers={"Accept-Encoding": "zstd"})
        again = await client.get("/v1/openapi.json", headers={"If-None-Match": first.headers["etag"]})

    assert first.json() == document
    assert first.headers["content-encoding"] == "zstd"
    assert again.status_code == 304
