"""The OpenAPI document as tests walk through it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from tests.support.platform import PlatformUnderTest

METHODS: Final = ("get", "put", "post", "delete", "patch")


@dataclass(frozen=True, slots=True)
class Operation:
    """A method on a path."""

    method: str
    path: str
    what: dict[str, Any] = field(repr=False)
    document: dict[str, Any] = field(repr=False)

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def is_secured(self) -> bool:
        """Whether it demands a token."""
        return bool(self.what.get("security"))

    @property
    def path_parameters(self) -> frozenset[str]:
        """Names in the path."""
        return self._names("path")

    @property
    def query_parameters(self) -> frozenset[str]:
        """Names in the query."""
        return self._names("query")

    @property
    def header_parameters(self) -> frozenset[str]:
        """Names of headers."""
        return self._names("header")

    @property
    def example_query(self) -> dict[str, Any]:
        """The query parameters that must be there."""
        return {
            parameter["name"]: parameter["schema"]["examples"][0]
            for parameter in self.what.get("parameters", ())
            if parameter["in"] == "query" and parameter["required"]
        }

    @property
    def example_path(self) -> dict[str, str]:
        """The examples of what stands in the path."""
        return {
            parameter["name"]: str(parameter["schema"]["examples"][0])
            for parameter in self.what.get("parameters", ())
            if parameter["in"] == "path"
        }

    @property
    def body_schema(self) -> dict[str, Any] | None:
        """The schema of its body, if it takes one."""
        content = self.what.get("requestBody", {}).get("content", {})
        if not content:
            return None
        schema = content["application/json"]["schema"]
        for choice in (schema, *schema.get("anyOf", ())):
            if "$ref" in choice:
                return resolve(choice, self.document)
        return dict(schema)

    @property
    def example_body(self) -> dict[str, Any] | None:
        """A body that fits."""
        return None if self.body_schema is None else dict(self.body_schema["examples"][0])

    def _names(self, place: str) -> frozenset[str]:
        return frozenset(parameter["name"] for parameter in self.what.get("parameters", ()) if parameter["in"] == place)


def resolve(schema: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    """Return a schema, or what it refers to."""
    if "$ref" not in schema:
        return schema
    return dict(document["components"]["schemas"][schema["$ref"].rpartition("/")[2]])


def operations_of(document: dict[str, Any]) -> list[Operation]:
    """Return every operation of a document."""
    return [
        Operation(method.upper(), path, item[method], document)
        for path, item in document["paths"].items()
        for method in METHODS
        if method in item
    ]


def operations(platform: PlatformUnderTest) -> list[Operation]:
    """Return every operation of the platform."""
    return operations_of(platform.inner.app.openapi())
