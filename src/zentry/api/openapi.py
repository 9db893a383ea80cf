"""The OpenAPI document: what FastAPI knows, told as this API behaves.

FastAPI documents its own 422; here schema errors are 400 in the one envelope, and every operation lists the
errors that the shell can answer. Links tell a client, and a stateful fuzzer, which answer feeds which call.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute, iter_route_contexts

from zentry.api.errors import MEDIA_TYPE, problem_type
from zentry.platform.wire import CATALOGUE, ErrorResponse

_REF: Final = "#/components/schemas/{model}"
_METHODS: Final = frozenset({"get", "put", "post", "delete", "options", "head", "patch", "trace"})
_WRITES: Final = frozenset({"post", "put", "patch"})
_BOUNDED: Final = frozenset({"pattern", "enum", "anyOf"})
_GENERATED: Final = ("HTTPValidationError", "ValidationError")


@dataclass(frozen=True, slots=True)
class Link:
    """Which operation an answer leads to, and what of the answer goes where."""

    to: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, str] = field(default_factory=dict)


_VM: Final = {"vm_id": "$response.body#/id"}
_SAME_VM: Final = {"vm_id": "$response.body#/data/vm_id"}
_SNAPSHOT: Final = {"snapshot_id": "$response.body#/id"}
_KEY: Final = {"key_id": "$response.body#/id"}
_TEMPLATE: Final = {"template_id": "$response.body#/id"}
_TOKEN: Final = {"token_id": "$response.body#/id"}
_POLICY: Final = {"policy_id": "$response.body#/id"}
_PROJECT: Final = {"project_id": "$response.body#/id"}
_INVITATION: Final = {"invitation_id": "$response.body#/id", "project_id": "$response.body#/project_id"}
_USER: Final = {"user_id": "$response.body#/users/0/id"}
_FIRST: Final = {"operation_id": "$response.body#/operations/0/id"}
_MEMBER: Final = {"member_id": "$response.body#/0/user_id", "project_id": "$request.path.project_id"}
_DELIVERY: Final = {"delivery_id": "$response.body#/id", "webhook_id": "$response.body#/webhook_id"}
_WEBHOOK: Final = {"webhook_id": "$response.body#/id"}
_OPERATION: Final = Link("get_operation", {"operation_id": "$response.body#/data/operation_id"})
_CANCEL: Final = Link("cancel_operation", {"operation_id": "$response.body#/data/operation_id"})
_REFRESH: Final = Link("refresh", body={"refresh_token": "$response.body#/refresh_token"})
LINKS: Final[Mapping[str, Sequence[Link]]] = {
    "signup": (_REFRESH,),
    "login": (_REFRESH,),
    "refresh": (_REFRESH,),
    "get_current_user": (
        Link("change_credits", {"user_id": "$response.body#/id"}),
        Link("set_discount", {"user_id": "$response.body#/id"}),
        Link("create_grant", {"user_id": "$response.body#/id"}),
    ),
    "announce_price_list": (Link("withdraw_price_list", {"version": "$response.body#/version"}),),
    "create_project": (
        Link("get_project", _PROJECT),
        Link("get_project_statistics", _PROJECT),
        Link("get_project_series", _PROJECT),
        Link("get_project_metrics", _PROJECT),
        Link("get_project_quotas", _PROJECT),
        Link("get_project_deletion", _PROJECT),
        Link("list_events", _PROJECT),
        Link("stream_events", _PROJECT),
        Link("list_members", _PROJECT),
        Link("list_invitations", _PROJECT),
        Link("create_invitation", _PROJECT),
        Link("get_transfer", _PROJECT),
        Link("withdraw_transfer", _PROJECT),
        Link("accept_transfer", _PROJECT),
        Link("offer_transfer", {**_PROJECT}, body={"member_id": "$response.body#/user_id"}),
        Link("get_any_project_quotas", _PROJECT),
        Link("change_project_quotas", _PROJECT),
        Link("update_project", _PROJECT),
        Link("delete_project", _PROJECT),
        Link("list_vms", _PROJECT),
        Link("get_billing_history", _PROJECT),
        Link("create_vm", body=_PROJECT),
    ),
    "create_vm": (
        Link("get_vm", _VM),
        Link("list_vm_operations", _VM),
        Link("list_vm_transitions", _VM),
        Link("start_vm", _VM),
        Link("stop_vm", _VM),
        Link("restart_vm", _VM),
        Link("change_vm", _VM),
        Link("resize_vm", _VM),
        Link("rebuild_vm", _VM),
        Link("create_snapshot", _VM),
        Link("list_vm_snapshots", _VM),
        Link("get_console", _VM),
        Link("delete_vm", _VM),
        Link("get_vm_metrics", _VM),
        Link("get_vm_metrics_history", _VM),
        Link("get_vm_series", _VM),
        Link("check_vm_status", _VM),
        Link("get_vm_network_metrics", _VM),
        Link("get_vm_network_history", _VM),
        Link("get_billing_history", _VM),
        Link("export_billing_history", _VM),
        Link("get_project", {"project_id": "$response.body#/project_id"}),
    ),
    "get_billing_history": (
        Link("explain_record", {"record_id": "$response.body#/items/0/id"}),
        Link("refund_record", {"record_id": "$response.body#/items/0/id"}),
    ),
    "list_statements": tuple(
        Link(name, {"statement_id": "$response.body#/statements/0/id"})
        for name in ("get_statement", "list_statement_lines", "download_statement", "print_statement")
    ),
    "create_voucher": (
        Link("withdraw_voucher", {"voucher_id": "$response.body#/id"}),
        Link("redeem_voucher", body={"voucher_code": "$response.body#/code"}),
    ),
    "create_budget": tuple(
        Link(name, {"budget_id": "$response.body#/id"}) for name in ("get_budget", "update_budget", "delete_budget")
    ),
    "create_webhook": (
        Link("get_webhook", _WEBHOOK),
        Link("update_webhook", _WEBHOOK),
        Link("rotate_webhook_secret", _WEBHOOK),
        Link("ping_webhook", _WEBHOOK),
        Link("list_webhook_deliveries", _WEBHOOK),
        Link("delete_webhook", _WEBHOOK),
    ),
    "ping_webhook": (
        Link("get_webhook_delivery", _DELIVERY),
        Link("redeliver", _DELIVERY),
    ),
    "create_snapshot": (
        Link("get_snapshot", _SNAPSHOT),
        Link("delete_snapshot", _SNAPSHOT),
        Link("restore_snapshot", {"snapshot_id": "$response.body#/id", "vm_id": "$response.body#/vm_id"}),
        Link("create_vm", body={"snapshot_id": "$response.body#/id", "project_id": "$response.body#/project_id"}),
    ),
    "create_ssh_key": (Link("get_ssh_key", _KEY), Link("update_ssh_key", _KEY), Link("delete_ssh_key", _KEY)),
    "create_template": (
        Link("get_template", _TEMPLATE),
        Link("change_template", _TEMPLATE),
        Link("delete_template", _TEMPLATE),
        Link("create_vm", body={"template_id": "$response.body#/id"}),
    ),
    "create_personal_token": (
        Link("get_personal_token", _TOKEN),
        Link("rotate_personal_token", _TOKEN),
        Link("revoke_personal_token", _TOKEN),
    ),
    "list_sessions": (Link("end_session", {"session_id": "$response.body#/0/id"}),),
    "create_alert_policy": (
        Link("get_alert_policy", _POLICY),
        Link("change_alert_policy", _POLICY),
        Link("test_alert_policy", _POLICY),
        Link("list_alert_history", _POLICY),
        Link("create_silence", body=_POLICY),
        Link("delete_alert_policy", _POLICY),
    ),
    "create_silence": (Link("delete_silence", {"silence_id": "$response.body#/id"}),),
    "create_invitation": (Link("resend_invitation", _INVITATION), Link("revoke_invitation", _INVITATION)),
    "list_members": (Link("remove_member", _MEMBER), Link("change_member", _MEMBER)),
    "list_users": (
        Link("get_user", _USER),
        Link("suspend_user", _USER),
        Link("resume_user", _USER),
        Link("sign_out_user", _USER),
        Link("reset_user_factor", _USER),
        Link("change_user_role", _USER),
        Link("get_user_quotas", _USER),
        Link("change_user_quotas", _USER),
    ),
    "list_all_operations": (Link("cancel_any_operation", _FIRST), Link("retry_operation", _FIRST)),
    "get_simulator": (Link("change_host", {"host_name": "$response.body#/hosts/0/name"}),),
    "add_fault": (Link("remove_fault", {"fault_id": "$response.body#/id"}),),
    "resize_vm": (_OPERATION, _CANCEL, Link("get_vm", _SAME_VM)),
    "rebuild_vm": (_OPERATION, Link("get_vm", _SAME_VM)),
    "restore_snapshot": (_OPERATION, Link("get_vm", _SAME_VM)),
    "start_vm": (
        _OPERATION,
        _CANCEL,
        Link("get_vm", _SAME_VM),
        Link("stop_vm", _SAME_VM),
        Link("restart_vm", _SAME_VM),
    ),
    "stop_vm": (_OPERATION, Link("get_vm", _SAME_VM), Link("start_vm", _SAME_VM), Link("restart_vm", _SAME_VM)),
    "restart_vm": (_OPERATION, Link("get_vm", _SAME_VM), Link("stop_vm", _SAME_VM)),
}


@dataclass(frozen=True, slots=True)
class _Shared:
    """An error that many operations share."""

    name: str
    status: int
    code: str
    text: str
    headers: Mapping[str, str] = field(default_factory=dict)


_RETRY: Final = {"Retry-After": "Seconds to wait before the next try."}
_ERRORS: Final = {
    error.status: error
    for error in (
        _Shared("BadRequest", 400, "VALIDATION_ERROR", "The request does not fit its schema."),
        _Shared(
            "Unauthorized",
            401,
            "AUTHENTICATION_ERROR",
            "The access token is missing, malformed, expired or revoked.",
            {"WWW-Authenticate": "Always `Bearer`."},
        ),
        _Shared("NotFound", 404, "NOT_FOUND", "It does not exist, or it is not the caller's."),
        _Shared(
            "MethodNotAllowed",
            405,
            "METHOD_NOT_ALLOWED",
            "The path does not know this method.",
            {"Allow": "The methods of the path."},
        ),
        _Shared("RequestTimeout", 408, "REQUEST_TIMEOUT", "The body did not arrive in time."),
        _Shared("PayloadTooLarge", 413, "PAYLOAD_TOO_LARGE", "The body is too large."),
        _Shared("UnsupportedMediaType", 415, "UNSUPPORTED_MEDIA_TYPE", "The body is not plain JSON."),
        _Shared("TooManyRequests", 429, "RATE_LIMIT_EXCEEDED", "A limit was reached.", _RETRY),
        _Shared("InternalServerError", 500, "INTERNAL_SERVER_ERROR", "Something went wrong on our side."),
        _Shared("ServiceUnavailable", 503, "SERVICE_UNAVAILABLE", "The service is away for a moment.", _RETRY),
    )
}
_ALWAYS: Final = (400, 405, 429, 500, 503)
_WITH_BODY: Final = (408, 413, 415)


def build_document(app: FastAPI, *, links: Mapping[str, Sequence[Link]] = LINKS) -> dict[str, Any]:
    """Return the document of an application."""
    document = get_openapi(
        title=app.title,
        version=app.version,
        openapi_version=app.openapi_version,
        summary=app.summary,
        description=app.description,
        contact=app.contact,
        license_info=app.license_info,
        routes=app.routes,
        tags=app.openapi_tags,
        servers=app.servers,
    )
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in _GENERATED:
        schemas.pop(name, None)
    schemas.update(_error_schemas())
    for schema in schemas.values():
        for example in schema.get("examples", ()):
            _put_nulls_back(example, schema, schemas)
    components["schemas"] = dict(sorted(schemas.items()))
    components["responses"] = {error.name: _component(error) for error in _ERRORS.values()}
    names = _operation_names(app)
    operations: dict[str, dict[str, Any]] = {}
    for path, method, operation in _operations(document):
        name = names[path, method]
        assert name not in operations, f"two operations are called {name}"
        operations[name] = operation
        operation["operationId"] = name
        operation["responses"] = _responses(path, method, operation)
    _forbid_null_parameters(document)
    _forbid_nul(document)
    _add_links(operations, links)
    return document


def with_choices(document: Mapping[str, Any], choices: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return the document with what the catalogue holds, wherever a field or parameter is one of it."""

    def completed(part: Any) -> Any:
        if isinstance(part, list):
            return [completed(one) for one in part]
        if not isinstance(part, dict):
            return part
        copied = {name: completed(value) for name, value in part.items()}
        if part.get(CATALOGUE) in choices:
            copied["enum"] = list(choices[part[CATALOGUE]])
        return copied

    return {name: completed(value) for name, value in document.items()}


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document.get("paths", {}).items():
        for method in sorted(_METHODS & item.keys()):
            yield path, method, item[method]


def _operation_names(app: FastAPI) -> dict[tuple[str, str], str]:
    """Return the operation ids: the names of the functions."""
    return {
        (str(route.path_format), method.lower()): route.operation_id or str(route.name)
        for route in iter_route_contexts(app.routes)
        if isinstance(route.original_route, APIRoute)
        for method in sorted(route.methods or ())
    }


def _responses(path: str, method: str, operation: Mapping[str, Any]) -> dict[str, Any]:
    responses: dict[str, Any] = {
        status: answer for status, answer in operation["responses"].items() if not _is_generated_422(status, answer)
    }
    wanted = list(_ALWAYS)
    if operation.get("security"):
        wanted.append(401)
    if "{" in path:
        wanted.append(404)
    if method in _WRITES:
        wanted.extend(_WITH_BODY)
    for status in wanted:
        error = _ERRORS[status]
        there = responses.get(str(status))
        if there is None:
            responses[str(status)] = {"$ref": f"#/components/responses/{error.name}"}
        else:
            _complete(there, error)
    return dict(sorted(responses.items()))


def _is_generated_422(status: str, answer: Mapping[str, Any]) -> bool:
    schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
    return status == str(HTTPStatus.UNPROCESSABLE_ENTITY) and str(schema.get("$ref", "")).endswith(_GENERATED[0])


def _complete(answer: dict[str, Any], error: _Shared) -> None:
    """Give an error that a route documents itself the envelope and the headers that it has like all others."""
    general = _component(error)
    answer.setdefault("content", {}).setdefault(MEDIA_TYPE, general["content"][MEDIA_TYPE])
    if "headers" in general:
        answer.setdefault("headers", {}).update(general["headers"])
    if error.code not in answer["description"]:
        answer["description"] = f"{answer['description'].rstrip('.')}; `{error.code}`: {error.text}"


def _component(error: _Shared) -> dict[str, Any]:
    content = {"schema": {"$ref": _REF.format(model="ErrorResponse")}, "example": _example(error)}
    component: dict[str, Any] = {"description": f"`{error.code}`: {error.text}", "content": {MEDIA_TYPE: content}}
    if error.headers:
        component["headers"] = {
            name: {"description": text, "schema": {"type": "string"}} for name, text in error.headers.items()
        }
    return component


def _example(error: _Shared) -> dict[str, Any]:
    return {
        "success": False,
        "error_code": error.code,
        "message": error.text,
        "details": None,
        "timestamp": "2026-01-31T12:00:00Z",
        "type": problem_type(error.code),
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "detail": error.text,
        "instance": "/vms",
        "request_id": "4f9d1c6a2b7e8d305a61",
    }


def _put_nulls_back(example: Any, schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> None:
    """Give an example the nulls that FastAPI drops: a field that must be there and is not was null."""
    if "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    for choice in schema.get("anyOf", ()):
        _put_nulls_back(example, choice, schemas)
    if isinstance(example, list):
        for one in example:
            _put_nulls_back(one, schema.get("items", {}), schemas)
    elif isinstance(example, dict):
        fields = schema.get("properties", {})
        for name in example.keys() & fields.keys():
            _put_nulls_back(example[name], fields[name], schemas)
        example.update(
            dict.fromkeys(name for name in schema.get("required", ()) if name in fields and name not in example)
        )


def _forbid_null_parameters(document: Mapping[str, Any]) -> None:
    """Say of every parameter what it is when it is there: a URL and a header know no null."""
    for _, _, operation in _operations(document):
        for parameter in operation.get("parameters", ()):
            schema = parameter["schema"]
            choices = [choice for choice in schema.get("anyOf", ()) if choice != {"type": "null"}]
            if len(choices) == 1:
                del schema["anyOf"]
                schema.update(choices[0])


def _forbid_nul(document: Mapping[str, Any]) -> None:
    """Say of every free text of a request that it holds no NUL; the guard refuses it wherever it stands."""
    for _, _, operation in _operations(document):
        for parameter in operation.get("parameters", ()):
            if parameter["in"] != "header":
                _forbid_nul_in(parameter["schema"], document)
        for content in operation.get("requestBody", {}).get("content", {}).values():
            _forbid_nul_in(content["schema"], document)


def _forbid_nul_in(schema: dict[str, Any], document: Mapping[str, Any]) -> None:
    if "$ref" in schema:
        _forbid_nul_in(document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], document)
    parts = [*schema.get("anyOf", ()), *schema.get("properties", {}).values()]
    parts += [schema[name] for name in ("items", "additionalProperties") if isinstance(schema.get(name), dict)]
    for part in parts:
        _forbid_nul_in(part, document)
    if (
        schema.get("type") == "string"
        and schema.get("format", "password") == "password"
        and not schema.keys() & _BOUNDED
    ):
        schema["pattern"] = "^[^\\x00]*$"


def _error_schemas() -> dict[str, Any]:
    schema = ErrorResponse.model_json_schema(ref_template=_REF, mode="serialization")
    nested = schema.pop("$defs", {})
    return {**nested, "ErrorResponse": schema}


def _add_links(operations: Mapping[str, dict[str, Any]], links: Mapping[str, Sequence[Link]]) -> None:
    for source, targets in links.items():
        there = [link for link in targets if link.to in operations]
        if source not in operations or not there:
            continue
        for status, answer in operations[source]["responses"].items():
            if status.startswith("2"):
                answer["links"] = {_link_name(link): _link(link) for link in there}


def _link_name(link: Link) -> str:
    return "".join(part.capitalize() for part in link.to.split("_"))


def _link(link: Link) -> dict[str, Any]:
    described: dict[str, Any] = {"operationId": link.to}
    if link.parameters:
        described["parameters"] = dict(link.parameters)
    if link.body:
        described["requestBody"] = dict(link.body)
    return described
