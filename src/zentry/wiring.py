"""Puts the platform together: the one place that knows every domain."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random, SystemRandom
from typing import Any, Final
from uuid import UUID

from fastapi import FastAPI

from zentry.accounts.account_router import router as account_router
from zentry.accounts.account_service import AccountService
from zentry.accounts.addresses import parse_networks
from zentry.accounts.admin_router import router as accounts_admin_router
from zentry.accounts.administration import AccountAdministration
from zentry.accounts.letters import AccountLetters
from zentry.accounts.limits import SigninLimiter, VoucherLimiter, WriteLimiter
from zentry.accounts.limits_middleware import RateLimitMiddleware
from zentry.accounts.middleware import AuthenticationMiddleware, Authenticator
from zentry.accounts.own_sessions import OwnSessions
from zentry.accounts.passwords import PasswordHasher
from zentry.accounts.personal_tokens import PersonalTokenService
from zentry.accounts.personal_tokens_router import router as personal_tokens_router
from zentry.accounts.proof import PasswordProof
from zentry.accounts.router import router as accounts_router
from zentry.accounts.service import AuthService
from zentry.accounts.sessions_router import router as sessions_router
from zentry.accounts.sweep import sweep_counters
from zentry.accounts.tokens import AccessTokens, SystemSecrets
from zentry.accounts.types import OnSignup
from zentry.activity.admin_router import router as operations_admin_router
from zentry.activity.audit_router import router as audit_router
from zentry.activity.events import EventService
from zentry.activity.events_router import EventStreams
from zentry.activity.events_router import router as events_router
from zentry.activity.router import operations_router
from zentry.activity.router import router as activity_router
from zentry.activity.service import ActivityService
from zentry.api.app import create_app
from zentry.api.docs import vendor_directory
from zentry.api.errors import render_error
from zentry.api.invariants_router import invariants_router
from zentry.billing.admin_router import router as billing_admin_router
from zentry.billing.budget_watch import BudgetWatch
from zentry.billing.budgets import BudgetService, ForgetBudgets
from zentry.billing.budgets_router import router as budgets_router
from zentry.billing.closing import Closing
from zentry.billing.meter import Meter
from zentry.billing.prices import PriceLists
from zentry.billing.prices_router import public_router as price_lists_router
from zentry.billing.prices_router import router as prices_admin_router
from zentry.billing.quotes import Quotes
from zentry.billing.quotes_router import router as quotes_router
from zentry.billing.records_router import router as records_router
from zentry.billing.refunds_router import router as refunds_router
from zentry.billing.router import router as billing_router
from zentry.billing.service import BillingService
from zentry.billing.statements import StatementService
from zentry.billing.statements_router import router as statements_router
from zentry.billing.usage_router import router as usage_router
from zentry.billing.vouchers import VoucherService
from zentry.billing.vouchers_router import admin_router as vouchers_admin_router
from zentry.billing.vouchers_router import router as vouchers_router
from zentry.compute.driver import ComputeDriver, DriverContext, load_driver
from zentry.compute.types import Capabilities
from zentry.console.router import web_console_router
from zentry.events.hub import EventHub
from zentry.events.retention import EventRetention, forget_actor
from zentry.events.sequencer import Sequencer
from zentry.mail.outbox import Outbox
from zentry.mail.senders import build_sender
from zentry.mail.sweep import sweep_mails
from zentry.mail.types import MailSender
from zentry.mail.worker import MailWorker
from zentry.monitoring.alerts.evaluator import AlertEvaluator
from zentry.monitoring.alerts.repository import sweep_alert_changes
from zentry.monitoring.alerts.router import router as alerts_router
from zentry.monitoring.alerts.service import AlertService
from zentry.monitoring.collector import Collector
from zentry.monitoring.drivers_router import router as drivers_router
from zentry.monitoring.metrics import MetricsService
from zentry.monitoring.probe import Probe, RecentRequests
from zentry.monitoring.prometheus import HTTPMetricsMiddleware, PrometheusPage
from zentry.monitoring.prometheus import router as prometheus_router
from zentry.monitoring.retention import Retention
from zentry.monitoring.router import router as monitoring_router
from zentry.monitoring.series import SeriesService
from zentry.monitoring.series_router import router as series_router
from zentry.monitoring.service import MonitoringService
from zentry.monitoring.sql_store import SQLMetricsStore
from zentry.monitoring.store import MetricsStore
from zentry.monitoring.victoria import VictoriaMetricsStore
from zentry.operations.idempotency import sweep_keys
from zentry.operations.runner import OperationRunner
from zentry.operations.types import Kind
from zentry.operations.waiting import OperationWaiter
from zentry.platform.clock import Clock, ScaledClock, SystemClock
from zentry.platform.db import Database, Transaction
from zentry.platform.db.migrations import Migrations
from zentry.platform.db.notifications import Notifications
from zentry.platform.db.service import DatabaseService
from zentry.platform.keys import load_or_create_signing_key, sealer_of
from zentry.platform.sealing import Sealer
from zentry.platform.settings import MonitoringSettings, Settings
from zentry.platform.signals import Signals
from zentry.platform.web import Edge, Factories
from zentry.projects.invitations import InvitationService
from zentry.projects.members import MemberService
from zentry.projects.members_router import router as members_router
from zentry.projects.quotas import QuotaAdministration, open_account_quotas
from zentry.projects.quotas_admin_router import router as quotas_admin_router
from zentry.projects.quotas_router import router as quotas_router
from zentry.projects.router import router as projects_router
from zentry.projects.service import ProjectService
from zentry.projects.sweep import sweep_invitations
from zentry.projects.transfers import TransferService
from zentry.projects.transfers_router import router as transfers_router
from zentry.vms.answers import WaitingFactory
from zentry.vms.catalogue import Catalogue
from zentry.vms.changes import VMChangeService
from zentry.vms.changes_router import router as changes_router
from zentry.vms.console import Console
from zentry.vms.console_router import router as console_router
from zentry.vms.hooks import ForgetBelongings, MachinesOfProject, StopMachines, SuspendForBudget, SuspendMachines
from zentry.vms.keeping import Keeping
from zentry.vms.lifecycle import VMLifecycle
from zentry.vms.projects_router import router as project_vms_router
from zentry.vms.reconciler import Reconciler
from zentry.vms.resumption import Resumption
from zentry.vms.router import catalogue_router
from zentry.vms.router import router as vms_router
from zentry.vms.service import VMService
from zentry.vms.simulator_router import router as simulator_router
from zentry.vms.snapshots import SnapshotService
from zentry.vms.snapshots_router import router as snapshots_router
from zentry.vms.ssh_keys import SSHKeyService
from zentry.vms.ssh_keys_router import router as ssh_keys_router
from zentry.vms.templates import TemplateService
from zentry.vms.templates_router import router as templates_router
from zentry.webhooks.deliverer import WebhookDeliverer, sweep_deliveries
from zentry.webhooks.router import router as webhooks_router
from zentry.webhooks.sender import HTTPSender
from zentry.webhooks.service import WebhookService, forget_webhooks
from zentry.worker.sweeper import Sweeper
from zentry.worker.worker import Loop, Worker

_OWNER_BYTES: Final = 6


@dataclass(frozen=True, slots=True)
class Platform:
    """Everything that a process of the platform has."""

    settings: Settings
    clock: Clock
    signals: Signals
    database: Database
    migrations: Migrations
    driver: ComputeDriver
    edge: Edge
    app: FastAPI
    auth: AuthService
    kinds: Mapping[str, Kind]
    runner: OperationRunner
    meter: Meter
    closing: Closing
    budget_watch: BudgetWatch
    collector: Collector
    reconciler: Reconciler
    resumption: Resumption
    mailer: MailWorker
    sequencer: Sequencer
    hub: EventHub
    alerts: AlertEvaluator
    keeping: Keeping
    deliverer: WebhookDeliverer
    worker: Worker

    async def run_worker(self, stop: asyncio.Event) -> None:
        """Run every loop until `stop` is set."""
        await self.worker.run(stop)


@contextlib.asynccontextmanager
async def open_platform(
    settings: Settings, *, clock: Clock | None = None, random: Random | None = None, driver: ComputeDriver | None = None
) -> AsyncIterator[Platform]:
    """Put the platform together, and let go of files and connections at the end."""
    clock = clock or SystemClock()
    random = random or SystemRandom()
    signals = Signals(clock.timeout)
    database = Database(settings.resolved_database, clock=clock, random=random, signals=signals)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(database.close)
        if database.dialect == "postgresql":
            await stack.enter_async_context(_carrying(database, signals, settings.database.direct_url))
        if driver is None:
            driver = load_driver(DriverContext(settings, settings.data_dir, clock, random))
            stack.push_async_callback(driver.close)
        hasher = PasswordHasher(settings.security)
        stack.callback(hasher.close)
        store = metrics_store(settings.monitoring, database, clock)
        stack.push_async_callback(store.close)
        platform = _assemble(settings, clock, random, signals, database, driver, hasher, store)
        stack.push_async_callback(platform.hub.close)
        stack.push_async_callback(platform.deliverer.close)
        yield platform


@contextlib.asynccontextmanager
async def _carrying(database: Database, signals: Signals, url: str) -> AsyncIterator[None]:
    """Exchange wake-up calls with the other processes; it connects by itself, sooner or later."""
    notifications = Notifications(database, signals, url=url)
    signals.carrier = notifications.send
    listening = asyncio.create_task(notifications.run(), name="notifications")
    try:
        yield
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


def _assemble(  # noqa: PLR0917 - the parts that the context manager opens and closes
    settings: Settings,
    clock: Clock,
    random: Random,
    signals: Signals,
    database: Database,
    driver: ComputeDriver,
    hasher: PasswordHasher,
    store: MetricsStore,
) -> Platform:
    migrations = Migrations(database)
    database_service = DatabaseService(database, migrations)
    database_service.publish_pool()
    requests = RecentRequests()
    key = _signing_key(settings)
    sealer = sealer_of(settings, key)
    tokens = AccessTokens(
        key,
        clock=clock,
        life_seconds=settings.security.access_token_seconds,
        previous_keys=[key.get_secret_value() for key in settings.security.previous_signing_keys],
    )
    # Authenticators follow the wall clock, however fast the platform's own time runs.
    wall_clock = SystemClock() if isinstance(clock, ScaledClock) else clock
    shared: Final[dict[str, Any]] = {
        "settings": settings.security,
        "hasher": hasher,
        "secrets": SystemSecrets(),
        "limiter": SigninLimiter(database, settings.limits),
        "proofs": PasswordProof(database, hasher=hasher, tokens=tokens, settings=settings.security),
        "letters": AccountLetters(server=settings.server, sealer=sealer, secrets=SystemSecrets()),
        "sealer": sealer,
        "wall_clock": wall_clock,
    }
    auth = AuthService(database, tokens=tokens, on_signup=signup_hooks(settings), **shared)
    accounts = AccountService(
        database,
        on_welcome=welcome_hooks(settings),
        on_deletion=(ForgetBelongings(), ForgetBudgets(), forget_actor, forget_webhooks),
        **shared,
    )
    authenticator = Authenticator(database, tokens=tokens, clock=clock, settings=settings.security)
    kinds = VMLifecycle(database=database, driver=driver, settings=settings, sealer=sealer).kinds()
    trusted_proxies = parse_networks(settings.security.trusted_proxies)
    edge = Edge(database, factories(settings, clock, kinds, driver.capabilities, sealer))
    app = create_app(
        settings=settings,
        clock=clock,
        edge=edge,
        routers=(
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
            invariants_router(database, clock),
            *((web_console_router(vendor_directory()),) if settings.server.console else ()),
        ),
        database_service=database_service,
        choices=partial(_choices, edge),
        cleanup=Retention(database=database, store=store),
        middleware=(
            partial(HTTPMetricsMiddleware, requests=requests),
            partial(AuthenticationMiddleware, authenticator=authenticator, trusted_proxies=trusted_proxies),
            partial(
                RateLimitMiddleware,
                settings=settings.limits,
                clock=clock,
                trusted_proxies=trusted_proxies,
                render_error=render_error,
            ),
        ),
    )
    hub = EventHub(database=database, settings=settings.events, signals=signals)
    app.state.event_streams = EventStreams(hub, authenticator, settings)
    app.state.auth = auth
    app.state.accounts = accounts
    app.state.forget_caller = authenticator.forget
    app.state.sealer = sealer
    app.state.trusted_proxies = trusted_proxies
    app.state.count_write = WriteLimiter(settings.limits).count
    app.state.voucher_limiter = VoucherLimiter(database, settings.limits)
    app.state.probe = Probe(driver, settings.data_dir, requests)
    app.state.metrics = MetricsService(store)
    app.state.series = SeriesService(store)
    app.state.console = Console(driver)
    app.state.driver = driver
    app.state.prometheus = PrometheusPage(database, clock)
    app.state.waiting = WaitingFactory(
        OperationWaiter(database=database, clock=clock, signals=signals), clock, settings.operations.wait_seconds
    )
    loops = assemble_loops(
        settings,
        clock=clock,
        random=random,
        signals=signals,
        database=database,
        driver=driver,
        kinds=kinds,
        owner=secrets.token_hex(_OWNER_BYTES),
        store=store,
        requests=requests,
        sealer=sealer,
        mail_sender=build_sender(settings.mail, settings.data_dir),
    )
    deliverer = WebhookDeliverer(
        database=database,
        settings=settings.webhooks,
        clock=clock,
        random=random,
        signals=signals,
        sealer=sealer,
        sender=HTTPSender(settings.webhooks),
        owner=secrets.token_hex(_OWNER_BYTES),
    )
    return Platform(
        settings=settings,
        clock=clock,
        signals=signals,
        database=database,
        migrations=migrations,
        driver=driver,
        edge=edge,
        app=app,
        auth=auth,
        kinds=kinds,
        runner=loops.runner,
        meter=loops.meter,
        closing=loops.closing,
        budget_watch=loops.budget_watch,
        collector=loops.collector,
        reconciler=loops.reconciler,
        resumption=loops.resumption,
        mailer=loops.mailer,
        sequencer=loops.sequencer,
        hub=hub,
        alerts=loops.alerts,
        keeping=loops.keeping,
        deliverer=deliverer,
        worker=Worker((*loops.all, deliverer)),
    )


@dataclass(frozen=True, slots=True)
class Loops:
    """What a worker process runs."""

    runner: OperationRunner
    meter: Meter
    closing: Closing
    budget_watch: BudgetWatch
    collector: Collector
    sweeper: Sweeper
    reconciler: Reconciler
    resumption: Resumption
    mailer: MailWorker
    sequencer: Sequencer
    alerts: AlertEvaluator
    keeping: Keeping

    @property
    def all(self) -> tuple[Loop, ...]:
        """All of them."""
        return (
            self.runner,
            self.meter,
            self.closing,
            self.budget_watch,
            self.collector,
            self.sweeper,
            self.reconciler,
            self.resumption,
            self.mailer,
            self.sequencer,
            self.alerts,
            self.keeping,
        )


def assemble_loops(
    settings: Settings,
    *,
    clock: Clock,
    random: Random,
    signals: Signals,
    database: Database,
    driver: ComputeDriver,
    kinds: Mapping[str, Kind],
    owner: str,
    store: MetricsStore,
    requests: RecentRequests,
    sealer: Sealer,
    mail_sender: MailSender,
) -> Loops:
    """Put the loops of one worker process together; a simulation runs several such workers."""
    return Loops(
        runner=OperationRunner(
            database=database,
            kinds=kinds,
            settings=settings.operations,
            clock=clock,
            random=random,
            signals=signals,
            owner=owner,
        ),
        meter=Meter(database=database, settings=settings.billing, clock=clock, on_exhausted=SuspendMachines(settings)),
        budget_watch=BudgetWatch(
            database=database,
            settings=settings.billing,
            clock=clock,
            sealer=sealer,
            on_exceeded=SuspendForBudget(settings),
        ),
        closing=Closing(database=database, settings=settings.billing, clock=clock),
        collector=Collector(
            database=database,
            driver=driver,
            store=store,
            settings=settings,
            clock=clock,
            random=random,
            requests=requests,
        ),
        sweeper=Sweeper(
            database=database,
            clock=clock,
            sweeps=(
                sweep_counters,
                sweep_keys,
                sweep_mails,
                EventRetention(settings.events),
                sweep_alert_changes,
                sweep_invitations,
                partial(sweep_deliveries, settings=settings.webhooks),
            ),
            interval_seconds=settings.operations.sweep_seconds,
        ),
        reconciler=Reconciler(
            database=database, driver=driver, settings=settings, clock=clock, signals=signals, owner=owner
        ),
        resumption=Resumption(database=database, settings=settings, clock=clock, signals=signals),
        mailer=MailWorker(
            database=database,
            settings=settings.mail,
            sender=mail_sender,
            sealer=sealer,
            clock=clock,
            random=random,
            signals=signals,
        ),
        sequencer=Sequencer(database=database, settings=settings.events, clock=clock, signals=signals),
        alerts=AlertEvaluator(database=database, store=store, settings=settings.monitoring, clock=clock, random=random),
        keeping=Keeping(database=database, settings=settings, clock=clock),
    )


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
        AlertService: lambda tx: AlertService(tx, settings.billing),
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


async def _choices(edge: Edge) -> Mapping[str, Sequence[str]]:
    async with edge.read() as tx:
        catalogue = edge.service(Catalogue, tx)
        return {
            "images": [image.name for image in await catalogue.list_images()],
            "instance-types": [size.name for size in await catalogue.list_instance_types()],
        }


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


def _signing_key(settings: Settings) -> str:
    return settings.security.signing_key.get_secret_value() or load_or_create_signing_key(settings.data_dir)
