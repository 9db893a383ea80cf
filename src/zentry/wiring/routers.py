"""Every route of the platform."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from fastapi import APIRouter

from zentry.accounts.account_router import router as account_router
from zentry.accounts.admin_router import router as accounts_admin_router
from zentry.accounts.personal_tokens_router import router as personal_tokens_router
from zentry.accounts.router import router as accounts_router
from zentry.accounts.sessions_router import router as sessions_router
from zentry.activity.admin_router import router as operations_admin_router
from zentry.activity.audit_router import router as audit_router
from zentry.activity.events_router import router as events_router
from zentry.activity.router import operations_router
from zentry.activity.router import router as activity_router
from zentry.api.docs import vendor_directory
from zentry.api.invariants_router import invariants_router
from zentry.billing.admin_router import router as billing_admin_router
from zentry.billing.budgets_router import router as budgets_router
from zentry.billing.prices_router import public_router as price_lists_router
from zentry.billing.prices_router import router as prices_admin_router
from zentry.billing.quotes_router import router as quotes_router
from zentry.billing.records_router import router as records_router
from zentry.billing.refunds_router import router as refunds_router
from zentry.billing.router import router as billing_router
from zentry.billing.statements_router import router as statements_router
from zentry.billing.usage_router import router as usage_router
from zentry.billing.vouchers_router import admin_router as vouchers_admin_router
from zentry.billing.vouchers_router import router as vouchers_router
from zentry.console.router import web_console_router
from zentry.monitoring.alerts.router import router as alerts_router
from zentry.monitoring.drivers_router import router as drivers_router
from zentry.monitoring.prometheus import router as prometheus_router
from zentry.monitoring.router import router as monitoring_router
from zentry.monitoring.series_router import router as series_router
from zentry.platform.clock import Clock
from zentry.platform.db import Database
from zentry.platform.settings import Settings
from zentry.projects.members_router import router as members_router
from zentry.projects.quotas_admin_router import router as quotas_admin_router
from zentry.projects.quotas_router import router as quotas_router
from zentry.projects.router import router as projects_router
from zentry.projects.transfers_router import router as transfers_router
from zentry.vms.changes_router import router as changes_router
from zentry.vms.console_router import router as console_router
from zentry.vms.projects_router import router as project_vms_router
from zentry.vms.router import catalogue_router
from zentry.vms.router import router as vms_router
from zentry.vms.simulator_router import router as simulator_router
from zentry.vms.snapshots_router import router as snapshots_router
from zentry.vms.ssh_keys_router import router as ssh_keys_router
from zentry.vms.templates_router import router as templates_router
from zentry.webhooks.router import router as webhooks_router


def routers(settings: Settings, database: Database, clock: Clock) -> Sequence[APIRouter]:
    """Return all routes, in the order in which the document lists them."""
    console = (web_console_router(vendor_directory()),) if settings.server.console else ()
    return *_ROUTERS, invariants_router(database, clock), *console


_ROUTERS: Final = (
    vms_router,
    monitoring_router,
    series_router,
    alerts_router,
    projects_router,
    project_vms_router,
    members_router,
    transfers_router,
    quotas_router,
    changes_router,
    snapshots_router,
    console_router,
    ssh_keys_router,
    templates_router,
    simulator_router,
    billing_router,
    accounts_router,
    sessions_router,
    account_router,
    personal_tokens_router,
    catalogue_router,
    activity_router,
    operations_router,
    events_router,
    webhooks_router,
    prometheus_router,
    billing_admin_router,
    audit_router,
    records_router,
    statements_router,
    usage_router,
    budgets_router,
    vouchers_router,
    vouchers_admin_router,
    refunds_router,
    price_lists_router,
    prices_admin_router,
    accounts_admin_router,
    quotas_admin_router,
    operations_admin_router,
    drivers_router,
    quotes_router,
)
