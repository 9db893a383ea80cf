"""The OpenAPI document: what integrators rely on, told in full, and true of every operation."""

from __future__ import annotations

import asyncio
import re
from typing import Any, Final

import jsonschema_rs
import pytest
import schemathesis

from tests.support.document import Operation, operations_of, resolve
from tests.support.platform import PlatformUnderTest
from zentry.api.openapi import LINKS
from zentry.cli.document import document as build_document

TAGS: Final = {
    "Activity",
    "System",
    "Authentication",
    "Projects",
    "Virtual Machines",
    "Administration",
    "Billing",
    "Monitoring",
    "Health",
    "Webhooks",
    "API Versioning",
}
# The names of the models, and the fields that each has at least.
SCHEMAS: Final = {
    "UserResponse": "id email name credits total_spent vm_count project_count active_vm_count is_active role "
    "created_at updated_at last_login",
    "Token": "access_token refresh_token token_type expires_in user",
    "APIResponse": "success message data errors timestamp",
    "ProjectResponse": "id name description user_id vm_count active_vm_count total_cost created_at updated_at",
    "ProjectWithVMs": "id name description user_id vm_count active_vm_count total_cost created_at updated_at vms",
    "VMResponse": "id name instance_type image status ip_address user_id project_id project_name specs cost_per_hour "
    "uptime_hours total_cost current_session_hours created_at updated_at last_started last_stopped "
    "active_operation stop_reason",
    "BillingRecord": "id user_id vm_id action_type amount description created_at",
    "VMMetrics": "vm_id vm_name instance_type status cpu_usage memory_usage disk_usage network_in network_out "
    "uptime_hours cost_per_hour total_cost current_session_hours recorded_at",
    "PricingInfo": "pricing currency billing description specifications billing_details cost_optimization",
    "UsageSummary": "user_id total_vms active_vms hourly_cost projected_monthly_cost current_credits total_spent "
    "billing_records_count period_start period_end",
    "SystemHealth": "overall_status components performance capacity alerts recommendations last_updated next_update",
    "HealthStatus": "status timestamp version database",
    "ErrorResponse": "success error_code message details timestamp type title status detail instance request_id",
}
# What existing clients and integrations call, with the success status and fields that they read.
SURFACE: Final = {
    "POST /auth/signup": (201, "access_token token_type expires_in user"),
    "POST /auth/login": (200, "access_token token_type expires_in user"),
    "GET /auth/me": (200, "id email name credits created_at"),
    "POST /auth/logout": (200, "success message data errors timestamp"),
    "PUT /auth/profile": (200, "id email name credits updated_at"),
    "POST /auth/refresh": (200, "access_token refresh_token token_type expires_in user"),
    "GET /projects": (200, "[] id name description vm_count active_vm_count total_cost created_at"),
    "POST /projects": (201, "id name description created_at"),
    "GET /projects/{}": (200, "id name description created_at vms"),
    "PUT /projects/{}": (200, "id name description updated_at"),
    "DELETE /projects/{}": (200, "success message"),
    "GET /vms": (200, "vms total_count filters_applied next_cursor"),
    "POST /vms": (201, "id name instance_type image status ip_address created_at"),
    "GET /vms/{}": (200, "id name instance_type image status ip_address created_at"),
    "POST /vms/{}/start": (200, "success message"),
    "POST /vms/{}/stop": (200, "success message"),
    "POST /vms/{}/restart": (200, "success message"),
    "DELETE /vms/{}": (200, "success message"),
    "GET /vms/pricing/info": (
        200,
        "pricing currency billing description specifications billing_details cost_optimization",
    ),
    "GET /vms/pricing": (200, "pricing currency billing description specs"),
    "GET /vms/status/summary": (
        200,
        (
            "total_vms status_breakdown total_cost total_uptime_hours average_cost_per_vm average_uptime_per_vm "
            "currently_running estimated_hourly_cost"
        ),
    ),
    "GET /vms/{}/metrics": (200, "cpu_usage memory_usage disk_usage network_in_mbps network_out_mbps"),
    "GET /vms/{}/metrics/history": (200, "metrics averages peaks data_points"),
    "GET /billing/credits": (
        200,
        (
            "current_credits total_spent monthly_spending projected_monthly_cost weekly_spending daily_spending "
            "last_transaction credit_history_count timestamp"
        ),
    ),
    "GET /billing/history": (200, "items total page limit pages has_next has_prev"),
    "POST /billing/credits/add": (200, "success message data"),
    "GET /billing/usage-summary": (200, "total_vms active_vms hourly_cost projected_monthly_cost"),
    "GET /billing/cost-analysis": (
        200,
        (
            "period_days period_start period_end total_cost cost_by_vm_type cost_by_action daily_average weekly_trend "
            "most_expensive_vm cost_optimization_tips analysis_timestamp"
        ),
    ),
    "GET /billing/cost": (200, "cost"),
    "GET /monitoring/vms/{}/metrics": (
        200,
        "cpu_usage memory_usage disk_usage network_in network_out uptime_hours cost_per_hour total_cost",
    ),
    "GET /monitoring/vms/{}/metrics/history": (
        200,
        (
            "metrics averages peaks data_points vm_id vm_name period_hours interval_minutes period_start period_end "
            "generated_at"
        ),
    ),
    "GET /monitoring/vms/{}/status": (200, "status"),
    "GET /monitoring/dashboard": (200, "overview vm_summary alerts resource_utilization"),
    "GET /monitoring/system/health": (
        200,
        "overall_status components performance capacity alerts recommendations last_updated next_update",
    ),
    "GET /": (200, "message version status environment docs api_info endpoints features rate_limits timestamp"),
    "GET /health": (200, "status timestamp version database users_count"),
    "GET /health-simple": (
        200,
        "status timestamp environment database version uptime active_users total_vms running_vms",
    ),
    "GET /health/database": (200, "status type users_count response_time_ms"),
    "GET /health/database/statistics": (200, "tables"),
    "POST /health/database/optimize": (200, "success message data"),
    "POST /health/database/migrations": (200, "success message data"),
    "GET /health/system": (200, "[] component status recorded_at"),
    "GET /health/audit": (200, "[] id user_id action resource_type resource_id details timestamp"),
    "POST /health/cleanup": (200, "success message data"),
    "GET /system/health": (
        200,
        "status timestamp uptime version database vm_statistics resource_usage user_statistics",
    ),
    "GET /images": (200, "[] name"),
    "GET /instance-types": (200, "[] name"),
    "GET /api/version": (
        200,
        (
            "current_version api_status release_date description supported_versions deprecation_notices upgrade_path "
            "compatibility timestamp"
        ),
    ),
    "GET /api/versions": (
        200,
        "versions current_version total_versions deprecated_count supported_versions timestamp",
    ),
    "GET /api/version/{}": (200, "status release_date description version is_current is_supported timestamp"),
    "GET /api/compatibility": (
        200,
        (
            "from_version to_version compatible breaking_changes migration_required migration_guide "
            "feature_differences timestamp"
        ),
    ),
    "GET /api/changelog": (200, "changelog total_entries filtered_by_version timestamp"),
    "POST /api/deprecation-notice": (200, "success message data"),
}
# Query parameters of that surface.
QUERIES: Final = {
    "GET /vms": "status project_id",
    "POST /auth/refresh": "refresh_token",
    "GET /vms/{}/metrics/history": "hours",
    "GET /billing/history": "page limit action_type vm_id start_date end_date cursor",
    "GET /billing/usage-summary": "period_days",
    "GET /billing/cost-analysis": "period_days",
    "GET /monitoring/vms/{}/metrics/history": "hours interval",
    "GET /health/system": "component hours",
    "GET /health/audit": "limit offset",
    "POST /health/cleanup": "retention_days",
    "GET /api/compatibility": "from_version to_version",
    "GET /api/changelog": "limit version",
    "POST /api/deprecation-notice": "feature version client_info",
}
PAGES: Final = ("/docs", "/redoc", "/openapi.json")


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The document, which does not depend on any database."""
    return asyncio.run(build_document())


@pytest.fixture
def all_operations(document: dict[str, Any]) -> list[Operation]:
    return operations_of(document)


def test_the_document_is_valid_openapi(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    schemathesis.openapi.from_dict(document).validate()


def test_every_schema_is_valid_json_schema(document: dict[str, Any]) -> None:
    for schema in document["components"]["schemas"].values():
        jsonschema_rs.validator_for({**schema, "components": document["components"]})


def test_the_document_says_whose_api_this_is(document: dict[str, Any]) -> None:
    info = document["info"]

    assert (info["title"], info["version"]) == ("Zentry Cloud API", "1.0.0")
    assert info["description"]
    assert info["contact"].keys() >= {"name", "email"}
    assert info["license"].keys() >= {"name", "url"}
    assert [server["url"] for server in document["servers"]] == ["/", "/v1"]
    assert all(server["description"] for server in document["servers"])


def test_every_tag_is_described_and_used_and_every_operation_has_one(
    document: dict[str, Any], all_operations: list[Operation]
) -> None:
    assert {tag["name"] for tag in document["tags"]} == TAGS
    assert all(tag["description"] for tag in document["tags"])
    assert {str(one): one.what["tags"] for one in all_operations if len(one.what.get("tags", ())) != 1} == {}
    assert {one.what["tags"][0] for one in all_operations} == TAGS


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_model_has_its_name_and_its_fields(document: dict[str, Any], name: str) -> None:
    schema = document["components"]["schemas"][name]

    assert set(SCHEMAS[name].split()) - schema["properties"].keys() == set()
    assert schema["description"]


def test_a_bearer_token_is_how_callers_prove_who_they_are(document: dict[str, Any]) -> None:
    schemes = document["components"]["securitySchemes"]

    assert {(scheme["type"], scheme["scheme"]) for scheme in schemes.values()} == {("http", "bearer")}
    assert all(scheme["description"] for scheme in schemes.values())


def test_sign_up_describes_e_mail_and_password(document: dict[str, Any]) -> None:
    fields = document["components"]["schemas"]["UserSignup"]["properties"]

    assert fields["email"]["format"] == "email"
    assert fields["password"]["minLength"] == 8


@pytest.mark.parametrize("name", SURFACE)
def test_an_operation_of_the_surface_is_there_with_what_clients_read(document: dict[str, Any], name: str) -> None:
    status, fields = SURFACE[name]

    operation = _by_name(document)[name]

    answer = operation.what["responses"][str(status)]
    schema = resolve(answer["content"]["application/json"]["schema"], document)
    wanted = fields.split()
    if wanted[0] == "[]":
        assert schema["type"] == "array"
        schema = resolve(schema["items"], document)
        wanted = wanted[1:]
    assert set(wanted) - schema["properties"].keys() == set()
    assert set(QUERIES.get(name, "").split()) - operation.query_parameters == set()


async def test_the_pages_about_the_api_are_served(platform: PlatformUnderTest) -> None:
    answers = [await platform.client.get(path) for path in PAGES]

    assert [answer.status_code for answer in answers] == [200, 200, 200]


async def test_the_served_document_names_what_the_catalogue_holds(platform: PlatformUnderTest) -> None:
    served = (await platform.client.get("/openapi.json")).json()
    images = [image["name"] for image in (await platform.client.get("/images")).json()]
    sizes = [size["name"] for size in (await platform.client.get("/instance-types")).json()]

    fields = served["components"]["schemas"]["VMCreate"]["properties"]
    cost = {one["name"]: one["schema"] for one in served["paths"]["/billing/cost"]["get"]["parameters"]}

    assert fields["image"]["enum"] == images
    assert fields["instance_type"]["enum"] == cost["instance_type"]["enum"] == sizes
    assert "enum" not in platform.inner.app.openapi()["components"]["schemas"]["VMCreate"]["properties"]["image"]


def test_every_operation_says_what_it_does(all_operations: list[Operation]) -> None:
    assert [str(one) for one in all_operations if not one.what.get("summary") or not one.what.get("description")] == []
    assert len({one.what["operationId"] for one in all_operations}) == len(all_operations)
    assert len({one.what["summary"] for one in all_operations}) == len(all_operations)


def test_every_parameter_is_described(all_operations: list[Operation]) -> None:
    assert [
        f"{one}: {parameter['name']}"
        for one in all_operations
        for parameter in one.what.get("parameters", ())
        if not parameter.get("description")
    ] == []


def test_every_name_in_a_path_is_a_parameter(all_operations: list[Operation]) -> None:
    for one in all_operations:
        assert set(re.findall(r"{(\w+)}", one.path)) == one.path_parameters, one


def test_every_field_of_a_write_is_described(all_operations: list[Operation]) -> None:
    assert [
        f"{one}: {name}"
        for one in all_operations
        for name, field in (one.body_schema or {"properties": {}})["properties"].items()
        if not field.get("description")
    ] == []


def test_every_text_of_a_write_says_what_it_may_hold(all_operations: list[Operation], document: dict[str, Any]) -> None:
    bodies = [
        content["schema"]
        for operation in all_operations
        for content in operation.what.get("requestBody", {}).get("content", {}).values()
    ]

    texts = [text for body in bodies for text in _texts(body, document)]

    assert len(texts) > 20
    assert [text for text in texts if not text.keys() & {"pattern", "enum", "const", "format"}] == []


def _texts(schema: dict[str, Any], document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return every string in a schema, wherever it stands."""
    schema = resolve(schema, document)
    parts = [*schema.get("anyOf", ()), *schema.get("properties", {}).values()]
    parts += [schema[name] for name in ("items", "additionalProperties") if isinstance(schema.get(name), dict)]
    found = [text for part in parts for text in _texts(part, document)]
    return [schema, *found] if schema.get("type") == "string" else found


def test_every_answer_is_described(all_operations: list[Operation], document: dict[str, Any]) -> None:
    assert [
        f"{one}: {status}"
        for one in all_operations
        for status, answer in one.what["responses"].items()
        if not _answer(answer, document)["description"]
    ] == []


def test_every_write_documents_how_it_refuses(all_operations: list[Operation]) -> None:
    for one in all_operations:
        refusals = {status for status in one.what["responses"] if status.startswith("4")}
        assert "400" in refusals, one
        assert ("401" in refusals) >= one.is_secured, one
        assert ("404" in refusals) >= bool(one.path_parameters), one


def test_every_refusal_is_the_one_envelope(all_operations: list[Operation], document: dict[str, Any]) -> None:
    envelope = {"$ref": "#/components/schemas/ErrorResponse"}
    for one in all_operations:
        for status, answer in one.what["responses"].items():
            if status >= "400":
                content = _answer(answer, document)["content"]
                assert content["application/problem+json"]["schema"] == envelope, (one, status)


def test_schema_errors_are_400_and_no_operation_answers_with_the_lists_of_the_framework(
    all_operations: list[Operation], document: dict[str, Any]
) -> None:
    assert document["components"]["schemas"].keys().isdisjoint({"HTTPValidationError", "ValidationError"})
    assert {str(one) for one in all_operations if "422" in one.what["responses"]} == {
        str(one) for one in all_operations if "Idempotency-Key" in one.header_parameters
    }


def test_every_body_has_examples_that_fit(all_operations: list[Operation], document: dict[str, Any]) -> None:
    for one in all_operations:
        if one.body_schema is None:
            continue
        validator = jsonschema_rs.validator_for(
            {**one.body_schema, "components": document["components"]}, validate_formats=True
        )
        assert one.body_schema["examples"], one
        for example in one.body_schema["examples"]:
            assert validator.is_valid(example), (one, list(validator.iter_errors(example)))


def test_every_example_of_a_parameter_fits(all_operations: list[Operation], document: dict[str, Any]) -> None:
    for one in all_operations:
        for parameter in one.what.get("parameters", ()):
            validator = jsonschema_rs.validator_for({**parameter["schema"], "components": document["components"]})
            for example in parameter["schema"].get("examples", ()):
                assert validator.is_valid(example), (one, parameter["name"], example)


def test_every_example_of_a_model_fits_it(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        validator = jsonschema_rs.validator_for({**schema, "components": document["components"]}, validate_formats=True)
        for example in schema.get("examples", ()):
            assert validator.is_valid(example), (name, list(validator.iter_errors(example)))
            assert example.keys() <= schema["properties"].keys(), name


def test_every_operation_shows_an_example(all_operations: list[Operation], document: dict[str, Any]) -> None:
    assert [str(one) for one in all_operations if not _shows_example(one.what, document)] == []


def test_every_link_leads_to_an_operation_with_what_it_needs(
    all_operations: list[Operation], document: dict[str, Any]
) -> None:
    by_id = {one.what["operationId"]: one for one in all_operations}
    linked = set()
    for one in all_operations:
        for answer in one.what["responses"].values():
            for link in answer.get("links", {}).values():
                target = by_id[link["operationId"]]
                names = target.path_parameters | target.query_parameters | target.header_parameters
                assert link.get("parameters", {}).keys() <= names, (one, link)
                assert target.path_parameters <= link["parameters"].keys() if target.path_parameters else True
                fields = (target.body_schema or {"properties": {}})["properties"]
                assert link.get("requestBody", {}).keys() <= fields.keys(), (one, link)
                linked.add(link["operationId"])
    assert linked == {link.to for links in LINKS.values() for link in links}
    assert {str(one) for one in all_operations if one.is_secured and one.path_parameters} <= {
        str(by_id[name]) for name in linked
    }
    assert document["paths"]["/vms"]["post"]["responses"]["201"]["links"]


def test_the_document_names_every_route(document: dict[str, Any]) -> None:
    assert [path for path in document["paths"] if path.endswith("/") and path != "/"] == []
    assert {name for name in SURFACE if name not in _by_name(document)} == set()


def _by_name(document: dict[str, Any]) -> dict[str, Operation]:
    return {re.sub(r"{\w+}", "{}", str(one)): one for one in operations_of(document)}


def _answer(answer: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in answer:
        return answer
    return dict(document["components"]["responses"][answer["$ref"].rpartition("/")[2]])


def _shows_example(what: dict[str, Any], document: dict[str, Any]) -> bool:
    """Whether the request or the answer of success has an example, in its schemas too."""
    parts: list[Any] = [what.get("requestBody", {}), what.get("parameters", [])]
    parts += [answer for status, answer in what["responses"].items() if status.startswith("2")]
    seen: set[str] = set()
    while parts:
        part = parts.pop()
        if isinstance(part, dict):
            if "example" in part or part.get("examples"):
                return True
            reference = part.get("$ref")
            if isinstance(reference, str) and reference not in seen:
                seen.add(reference)
                parts.append(resolve(part, document))
        parts.extend(part.values() if isinstance(part, dict) else part if isinstance(part, list) else ())
    return False
