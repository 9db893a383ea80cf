"""Who may ask what: a rule for every operation of the API, reviewed one by one.

A new route fails tests/integration/test_access.py until its rule stands here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from zentry.projects.access import Right


class Whose(Enum):
    """What an operation is about."""

    PUBLIC = "anyone may ask, without an account"
    ADMIN = "only administrators of the platform may ask"
    CALLER = "the caller's own account, or what all of the caller's things add up to"
    PERSONAL = "something of one account, that nobody else sees"
    PROJECT = "something of a project; its members see it"


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may ask for one operation."""

    whose: Whose
    right: Right = Right.READ
    """What it needs of a role, where it is about a project."""
    own: frozenset[int] = frozenset()
    """Refusals that its owner gets as well, for a token or a password in the example that is nobody's."""
    empty: frozenset[str] = frozenset()
    """Query parameters that filter: an id of somebody else finds nothing, and that is the answer."""


PUBLIC: Final = Rule(Whose.PUBLIC)
ADMIN: Final = Rule(Whose.ADMIN)
CALLER: Final = Rule(Whose.CALLER)
PERSONAL: Final = Rule(Whose.PERSONAL)
READ: Final = Rule(Whose.PROJECT)
OPERATE: Final = Rule(Whose.PROJECT, Right.OPERATE)
MANAGE: Final = Rule(Whose.PROJECT, Right.MANAGE)
OWN: Final = Rule(Whose.PROJECT, Right.OWN)
FILTERED: Final = Rule(Whose.CALLER, empty=frozenset({"project_id", "vm_id"}))
NOBODYS_TOKEN: Final = frozenset({401, 404})
PROVEN: Final = Rule(Whose.CALLER, own=frozenset({401, 403, 404}))
"""About the own account, by whoever proves to know its password once more."""
WITH_A_SECRET: Final = Rule(Whose.PUBLIC, own=frozenset({401, 404}))

RULES: Final[dict[str, Rule]] = {
    "DELETE /admin/price-lists/{version}": ADMIN,
    "DELETE /admin/simulator/faults": ADMIN,
    "DELETE /admin/simulator/faults/{fault_id}": ADMIN,
    "DELETE /admin/vouchers/{voucher_id}": ADMIN,
    "DELETE /alerts/policies/{policy_id}": PERSONAL,
    "DELETE /alerts/silences/{silence_id}": PERSONAL,
    "DELETE /auth/sessions": CALLER,
    "DELETE /auth/sessions/{session_id}": PERSONAL,
    "DELETE /auth/tokens/{token_id}": PERSONAL,
    "DELETE /billing/budgets/{budget_id}": PERSONAL,
    "DELETE /projects/{project_id}": OWN,
    "DELETE /projects/{project_id}/invitations/{invitation_id}": MANAGE,
    "DELETE /projects/{project_id}/members/{member_id}": MANAGE,
    "DELETE /projects/{project_id}/transfer": OWN,
    "DELETE /snapshots/{snapshot_id}": OPERATE,
    "DELETE /ssh-keys/{key_id}": PERSONAL,
    "DELETE /templates/{template_id}": PERSONAL,
    "DELETE /vms/{vm_id}": OPERATE,
    "DELETE /webhooks/{webhook_id}": PERSONAL,
    "GET /": PUBLIC,
    "GET /.well-known/jwks.json": PUBLIC,
    "GET /admin/drivers": ADMIN,
    "GET /admin/audit": ADMIN,
    "GET /admin/invariants": ADMIN,
    "GET /admin/operations": ADMIN,
    "GET /admin/projects/{project_id}/quotas": ADMIN,
    "GET /admin/simulator": ADMIN,
    "GET /admin/users": ADMIN,
    "GET /admin/users/{user_id}": ADMIN,
    "GET /admin/users/{user_id}/quotas": ADMIN,
    "GET /admin/vouchers": ADMIN,
    "GET /alerts": CALLER,
    "GET /alerts/history": Rule(Whose.CALLER, empty=frozenset({"policy_id"})),
    "GET /alerts/policies": CALLER,
    "GET /alerts/policies/{policy_id}": PERSONAL,
    "GET /alerts/silences": CALLER,
    "GET /api/changelog": PUBLIC,
    "GET /api/compatibility": PUBLIC,
    "GET /api/version": PUBLIC,
    "GET /api/version/{version}": PUBLIC,
    "GET /api/versions": PUBLIC,
    "GET /auth/account/export": CALLER,
    "GET /auth/me": CALLER,
    "GET /auth/sessions": CALLER,
    "GET /auth/tokens": CALLER,
    "GET /auth/tokens/{token_id}": PERSONAL,
    "GET /billing/budgets": CALLER,
    "GET /billing/budgets/{budget_id}": PERSONAL,
    "GET /billing/cost": CALLER,
    "GET /billing/cost-analysis": CALLER,
    "GET /billing/credits": CALLER,
    "GET /billing/focus/export": FILTERED,
    "GET /billing/grants": CALLER,
    "GET /billing/history": FILTERED,
    "GET /billing/history/export": FILTERED,
    "GET /billing/ledger/export": CALLER,
    "GET /billing/price-lists": CALLER,
    "GET /billing/records/{record_id}/explain": PERSONAL,
    "GET /billing/statements": CALLER,
    "GET /billing/statements/{statement_id}": PERSONAL,
    "GET /billing/statements/{statement_id}/csv": PERSONAL,
    "GET /billing/statements/{statement_id}/html": PERSONAL,
    "GET /billing/statements/{statement_id}/lines": PERSONAL,
    "GET /billing/usage": CALLER,
    "GET /billing/usage-summary": CALLER,
    "GET /events": CALLER,
    "GET /events/stream": CALLER,
    "GET /health": PUBLIC,
    "GET /health-simple": PUBLIC,
    "GET /health/audit": CALLER,
    "GET /health/database": PUBLIC,
    "GET /health/database/statistics": ADMIN,
    "GET /health/live": PUBLIC,
    "GET /health/ready": PUBLIC,
    "GET /health/system": CALLER,
    "GET /images": PUBLIC,
    "GET /instance-types": PUBLIC,
    "GET /metrics": PUBLIC,
    "GET /monitoring/dashboard": CALLER,
    "GET /monitoring/metrics": CALLER,
    "GET /monitoring/projects/{project_id}/metrics": READ,
    "GET /monitoring/projects/{project_id}/series": READ,
    "GET /monitoring/series": CALLER,
    "GET /monitoring/system/health": CALLER,
    "GET /monitoring/vms/{vm_id}/metrics": READ,
    "GET /monitoring/vms/{vm_id}/metrics/history": READ,
    "GET /monitoring/vms/{vm_id}/series": READ,
    "GET /monitoring/vms/{vm_id}/status": READ,
    "GET /operations": FILTERED,
    "GET /operations/{operation_id}": READ,
    "GET /projects": CALLER,
    "GET /projects/{project_id}": READ,
    "GET /projects/{project_id}/deletion": READ,
    "GET /projects/{project_id}/invitations": MANAGE,
    "GET /projects/{project_id}/members": READ,
    "GET /projects/{project_id}/quotas": READ,
    "GET /projects/{project_id}/statistics": READ,
    "GET /projects/{project_id}/transfer": READ,
    "GET /quotas": CALLER,
    "GET /quotas/drift": ADMIN,
    "GET /snapshots": CALLER,
    "GET /snapshots/{snapshot_id}": READ,
    "GET /ssh-keys": CALLER,
    "GET /ssh-keys/{key_id}": PERSONAL,
    "GET /system/health": PUBLIC,
    "GET /templates": CALLER,
    "GET /templates/{template_id}": PERSONAL,
    "GET /vms": CALLER,
    "GET /vms/pricing": PUBLIC,
    "GET /vms/pricing/info": PUBLIC,
    "GET /vms/status/summary": CALLER,
    "GET /vms/{vm_id}": READ,
    "GET /vms/{vm_id}/console": OPERATE,
    "GET /vms/{vm_id}/metrics": READ,
    "GET /vms/{vm_id}/metrics/history": READ,
    "GET /vms/{vm_id}/operations": READ,
    "GET /vms/{vm_id}/snapshots": READ,
    "GET /vms/{vm_id}/transitions": READ,
    "GET /webhooks": CALLER,
    "GET /webhooks/{webhook_id}": PERSONAL,
    "GET /webhooks/{webhook_id}/deliveries": PERSONAL,
    "GET /webhooks/{webhook_id}/deliveries/{delivery_id}": PERSONAL,
    "PATCH /admin/projects/{project_id}/quotas": ADMIN,
    "PATCH /admin/simulator/hosts/{host_name}": ADMIN,
    "PATCH /admin/users/{user_id}/quotas": ADMIN,
    "PATCH /alerts/policies/{policy_id}": PERSONAL,
    "PATCH /projects/{project_id}/members/{member_id}": MANAGE,
    "PATCH /templates/{template_id}": PERSONAL,
    "PATCH /vms/{vm_id}": OPERATE,
    "PATCH /webhooks/{webhook_id}": PERSONAL,
    "POST /admin/billing/records/{record_id}/refund": ADMIN,
    "POST /admin/operations/{operation_id}/cancel": ADMIN,
    "POST /admin/operations/{operation_id}/retry": ADMIN,
    "POST /admin/price-lists": ADMIN,
    "POST /admin/simulator/faults": ADMIN,
    "POST /admin/users/{user_id}/credits": ADMIN,
    "POST /admin/users/{user_id}/grants": ADMIN,
    "POST /admin/users/{user_id}/resume": ADMIN,
    "POST /admin/users/{user_id}/second-factor/reset": ADMIN,
    "POST /admin/users/{user_id}/sign-out": ADMIN,
    "POST /admin/users/{user_id}/suspend": ADMIN,
    "POST /admin/vouchers": ADMIN,
    "POST /alerts/policies": CALLER,
    "POST /alerts/policies/{policy_id}/test": PERSONAL,
    "POST /alerts/silences": CALLER,
    "POST /api/deprecation-notice": PUBLIC,
    "POST /auth/account/deactivate": PROVEN,
    "POST /auth/account/delete": PROVEN,
    "POST /auth/email/confirm": WITH_A_SECRET,
    "POST /auth/email/verification": CALLER,
    "POST /auth/email/verify": WITH_A_SECRET,
    "POST /auth/login": Rule(Whose.PUBLIC, own=NOBODYS_TOKEN),
    "POST /auth/login/second-factor": WITH_A_SECRET,
    "POST /auth/logout": CALLER,
    "POST /auth/password/forgot": PUBLIC,
    "POST /auth/password/reset": WITH_A_SECRET,
    "POST /auth/reauthenticate": PROVEN,
    "POST /auth/refresh": Rule(Whose.PUBLIC, own=NOBODYS_TOKEN),
    "POST /auth/second-factor": PROVEN,
    "POST /auth/second-factor/confirm": PROVEN,
    "POST /auth/second-factor/disable": PROVEN,
    "POST /auth/signup": PUBLIC,
    "POST /auth/tokens": CALLER,
    "POST /auth/tokens/{token_id}/rotate": PERSONAL,
    "POST /billing/budgets": CALLER,
    "POST /billing/credits/add": CALLER,
    "POST /billing/forecast": CALLER,
    "POST /billing/quote": CALLER,
    "POST /billing/vouchers/redeem": Rule(Whose.CALLER, own=NOBODYS_TOKEN),
    "POST /health/cleanup": ADMIN,
    "POST /health/database/migrations": ADMIN,
    "POST /health/database/optimize": ADMIN,
    "POST /invitations/accept": Rule(Whose.CALLER, own=NOBODYS_TOKEN),
    "POST /operations/{operation_id}/cancel": OPERATE,
    "POST /projects": CALLER,
    "POST /projects/{project_id}/invitations": MANAGE,
    "POST /projects/{project_id}/invitations/{invitation_id}/resend": MANAGE,
    "POST /projects/{project_id}/transfer": OWN,
    "POST /projects/{project_id}/transfer/accept": Rule(Whose.PROJECT, own=NOBODYS_TOKEN),
    "POST /ssh-keys": CALLER,
    "POST /templates": CALLER,
    "POST /vms": OPERATE,
    "POST /vms/{vm_id}/rebuild": OPERATE,
    "POST /vms/{vm_id}/resize": OPERATE,
    "POST /vms/{vm_id}/restart": OPERATE,
    "POST /vms/{vm_id}/snapshots": OPERATE,
    "POST /vms/{vm_id}/snapshots/{snapshot_id}/restore": OPERATE,
    "POST /vms/{vm_id}/start": OPERATE,
    "POST /vms/{vm_id}/stop": OPERATE,
    "POST /webhooks": CALLER,
    "POST /webhooks/{webhook_id}/ping": PERSONAL,
    "POST /webhooks/{webhook_id}/rotate-secret": PERSONAL,
    "POST /webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver": PERSONAL,
    "PUT /admin/users/{user_id}/discount": ADMIN,
    "PUT /admin/users/{user_id}/role": ADMIN,
    "PUT /auth/email": PROVEN,
    "PUT /auth/password": PROVEN,
    "PUT /auth/profile": CALLER,
    "PUT /billing/budgets/{budget_id}": PERSONAL,
    "PUT /projects/{project_id}": MANAGE,
    "PUT /ssh-keys/{key_id}": PERSONAL,
}
