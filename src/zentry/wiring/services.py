"""How each service is built inside a unit of work, and what the domains do for each other."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from uuid import UUID

from zentry.accounts.administration import AccountAdministration
from zentry.accounts.own_sessions import OwnSessions
from zentry.accounts.personal_tokens import PersonalTokenService
from zentry.accounts.tokens import SystemSecrets
from zentry.accounts.types import OnSignup
from zentry.activity.events import EventService
from zentry.activity.service import ActivityService
from zentry.billing.budgets import BudgetService
from zentry.billing.prices import PriceLists
from zentry.billing.quotes import Quotes
from zentry.billing.service import BillingService
from zentry.billing.statements import StatementService
from zentry.billing.vouchers import VoucherService
from zentry.compute.types import Capabilities
from zentry.mail.outbox import Outbox
from zentry.monitoring.alerts.service import AlertService
from zentry.monitoring.service import MonitoringService
from zentry.monitoring.sql_store import SQLMetricsStore
from zentry.monitoring.store import MetricsStore
from zentry.monitoring.victoria import VictoriaMetricsStore
from zentry.operations.types import Kind
from zentry.platform.clock import Clock
from zentry.platform.db import Database, Transaction
from zentry.platform.sealing import Sealer
from zentry.platform.settings import MonitoringSettings, Settings
from zentry.platform.web import Factories
from zentry.projects.invitations import InvitationService
from zentry.projects.members import MemberService
from zentry.projects.quotas import QuotaAdministration, open_account_quotas
from zentry.projects.service import ProjectService
from zentry.projects.transfers import TransferService
from zentry.vms.catalogue import Catalogue
from zentry.vms.changes import VMChangeService
from zentry.vms.hooks import MachinesOfProject, StopMachines
from zentry.vms.service import VMService
from zentry.vms.snapshots import SnapshotService
from zentry.vms.ssh_keys import SSHKeyService
from zentry.vms.templates import TemplateService
from zentry.webhooks.service import WebhookService


def factories(
    settings: Settings,
    clock: Clock,
    kinds: Mapping[str, Kind],
    capabilities: Capabilities,
    sealer: Sealer,
) -> Factories:
    """Return how each service is built inside a unit of work."""
    contents = MachinesOfProject(settings)
    return {
        ProjectService: lambda tx: ProjectService(tx, contents=contents, quotas=settings.quotas),
        MemberService: MemberService,
        TransferService: lambda tx: TransferService(tx, contents=contents),
        AccountAdministration: lambda tx: AccountAdministration(tx, on_suspend=StopMachines(settings)),
        InvitationService: lambda tx: InvitationService(
            tx,
            settings=settings.quotas,
            outbox=Outbox(tx, sealer),
            secrets=SystemSecrets(),
            public_url=settings.server.public_url,
        ),
        BillingService: lambda tx: BillingService(tx, settings.billing),
        Quotes: lambda tx: Quotes(tx, settings.billing),
        PriceLists: lambda tx: PriceLists(tx, settings.billing),
        BudgetService: lambda tx: BudgetService(tx, BillingService(tx, settings.billing)),
        VoucherService: lambda tx: VoucherService(tx, BillingService(tx, settings.billing)),
        VMService: lambda tx: VMService(tx, settings),
        VMChangeService: lambda tx: VMChangeService(tx, settings, capabilities),
        SSHKeyService: lambda tx: SSHKeyService(tx, settings.billing),
        TemplateService: lambda tx: TemplateService(tx, settings.billing),
        SnapshotService: lambda tx: SnapshotService(tx, settings, capabilities),
        Catalogue: lambda tx: Catalogue(tx, settings.billing),
        MonitoringService: lambda tx: MonitoringService(tx, settings=settings, clock=clock),
        AlertService: lambda tx: AlertService(tx, settings.billing, sealer),
        ActivityService: lambda tx: ActivityService(tx, kinds, VMService(tx, settings)),
        QuotaAdministration: QuotaAdministration,
        PersonalTokenService: lambda tx: PersonalTokenService(tx, SystemSecrets()),
        OwnSessions: lambda tx: OwnSessions(tx, settings.security),
        Outbox: lambda tx: Outbox(tx, sealer),
        EventService: EventService,
        WebhookService: lambda tx: WebhookService(
            tx,
            settings=settings,
            sealer=sealer,
            new_key=secrets.token_bytes,
            projects=ProjectService(tx, contents=contents, quotas=settings.quotas),
        ),
    }


def metrics_store(settings: MonitoringSettings, database: Database, clock: Clock) -> MetricsStore:
    """Return the store of samples that the settings name."""
    if settings.store == VictoriaMetricsStore.name:
        return VictoriaMetricsStore(settings=settings, clock=clock)
    return SQLMetricsStore(database, settings=settings, clock=clock)


def signup_hooks(settings: Settings) -> Sequence[OnSignup]:
    """Return what the domains above accounts do for a new account: open its quotas, grant its credit."""

    async def open_quotas(tx: Transaction, user_id: UUID) -> None:
        await open_account_quotas(tx, user_id, settings.quotas)

    async def schedule_statements(tx: Transaction, user_id: UUID) -> None:
        await StatementService(tx, settings.billing).schedule(user_id)

    welcome = () if settings.security.verify_email else welcome_hooks(settings)
    return open_quotas, *welcome, schedule_statements


def welcome_hooks(settings: Settings) -> Sequence[OnSignup]:
    """Return what a new account is welcomed with, at once or when its address is confirmed."""

    async def grant(tx: Transaction, user_id: UUID) -> None:
        await BillingService(tx, settings.billing).grant_welcome(user_id)

    return (grant,)
