"""A whole process of the platform: its parts, opened and closed again."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random, SystemRandom
from typing import Any, Final

from fastapi import FastAPI

from zentry.accounts.account_service import AccountService
from zentry.accounts.addresses import parse_networks
from zentry.accounts.letters import AccountLetters
from zentry.accounts.limits import SigninLimiter, VoucherLimiter, WriteLimiter
from zentry.accounts.limits_middleware import RateLimitMiddleware
from zentry.accounts.middleware import AuthenticationMiddleware, Authenticator
from zentry.accounts.passwords import PasswordHasher
from zentry.accounts.proof import PasswordProof
from zentry.accounts.service import AuthService
from zentry.accounts.tokens import AccessTokens, SystemSecrets
from zentry.activity.events_router import EventStreams
from zentry.api.app import create_app
from zentry.api.errors import render_error
from zentry.billing.budget_watch import BudgetWatch
from zentry.billing.budgets import ForgetBudgets
from zentry.billing.closing import Closing
from zentry.billing.meter import Meter
from zentry.compute.driver import ComputeDriver, DriverContext, load_driver
from zentry.compute.observed import ObservedDriver
from zentry.events.hub import EventHub
from zentry.events.retention import forget_actor
from zentry.events.sequencer import Sequencer
from zentry.mail.senders import build_sender
from zentry.mail.worker import MailWorker
from zentry.monitoring.alerts.evaluator import AlertEvaluator
from zentry.monitoring.collector import Collector
from zentry.monitoring.metrics import MetricsService
from zentry.monitoring.probe import Probe, RecentRequests
from zentry.monitoring.prometheus import HTTPMetricsMiddleware, PrometheusPage
from zentry.monitoring.retention import Retention
from zentry.monitoring.series import SeriesService
from zentry.monitoring.store import MetricsStore
from zentry.operations.runner import OperationRunner
from zentry.operations.types import Kind
from zentry.operations.waiting import OperationWaiter
from zentry.platform.clock import Clock, ScaledClock, SystemClock
from zentry.platform.db import Database
from zentry.platform.db.migrations import Migrations
from zentry.platform.db.notifications import Notifications
from zentry.platform.db.service import DatabaseService
from zentry.platform.keys import load_or_create_signing_key, sealer_of
from zentry.platform.settings import Settings
from zentry.platform.signals import Signals
from zentry.platform.tasks import Stop
from zentry.platform.tracing import Tracing, build_tracing
from zentry.platform.web import Edge
from zentry.projects.departure import leave_projects
from zentry.vms.answers import WaitingFactory
from zentry.vms.catalogue import Catalogue
from zentry.vms.console import Console
from zentry.vms.hooks import ForgetBelongings
from zentry.vms.keeping import Keeping
from zentry.vms.lifecycle import VMLifecycle
from zentry.vms.reconciler import Reconciler
from zentry.vms.resumption import Resumption
from zentry.webhooks.deliverer import WebhookDeliverer
from zentry.webhooks.sender import HTTPSender
from zentry.webhooks.service import forget_webhooks
from zentry.wiring.loops import assemble_loops
from zentry.wiring.routers import routers
from zentry.wiring.services import factories, metrics_store, signup_hooks, welcome_hooks
from zentry.worker.invariant_watch import InvariantWatch
from zentry.worker.worker import Worker

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
    invariant_watch: InvariantWatch
    worker: Worker

    async def run_worker(self, stop: Stop) -> None:
        """Run every loop until `stop` is set."""
        await self.worker.run(stop)


@contextlib.asynccontextmanager
async def open_platform(
    settings: Settings,
    *,
    clock: Clock | None = None,
    random: Random | None = None,
    driver: ComputeDriver | None = None,
    tracing: Tracing | None = None,
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
        if tracing is None:
            tracing = build_tracing(settings.tracing)
            stack.push_async_callback(asyncio.to_thread, tracing.close)
        hasher = PasswordHasher(settings.security)
        stack.callback(hasher.close)
        store = metrics_store(settings.monitoring, database, clock)
        stack.push_async_callback(store.close)
        platform = _assemble(settings, clock, random, signals, database, driver, hasher, store, tracing)
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
    tracing: Tracing,
) -> Platform:
    observed = ObservedDriver(driver, tracing)
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
        on_departure=(leave_projects,),
        on_deletion=(ForgetBelongings(), ForgetBudgets(), forget_actor, forget_webhooks),
        **shared,
    )
    authenticator = Authenticator(database, tokens=tokens, clock=clock, settings=settings.security, signals=signals)
    kinds = VMLifecycle(database=database, driver=observed, settings=settings, sealer=sealer).kinds()
    trusted_proxies = parse_networks(settings.security.trusted_proxies)
    edge = Edge(database, factories(settings, clock, kinds, driver.capabilities, sealer))
    app = create_app(
        settings=settings,
        clock=clock,
        edge=edge,
        routers=routers(settings, database, clock),
        database_service=database_service,
        choices=partial(_choices, edge),
        cleanup=Retention(database=database, store=store),
        tracing=tracing,
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
    app.state.sealer = sealer
    app.state.trusted_proxies = trusted_proxies
    app.state.count_write = WriteLimiter(settings.limits).count
    app.state.voucher_limiter = VoucherLimiter(database, settings.limits)
    app.state.probe = Probe(observed, store, settings.data_dir, requests)
    app.state.metrics = MetricsService(store)
    app.state.series = SeriesService(store)
    app.state.console = Console(observed)
    app.state.driver = driver
    app.state.prometheus = PrometheusPage(database, clock, driver=driver.name)
    app.state.waiting = WaitingFactory(
        OperationWaiter(database=database, clock=clock, signals=signals), clock, settings.operations.wait_seconds
    )
    loops = assemble_loops(
        settings,
        clock=clock,
        random=random,
        signals=signals,
        database=database,
        driver=observed,
        kinds=kinds,
        tracing=tracing,
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
    invariant_watch = InvariantWatch(database=database, clock=clock, hours=settings.monitoring.invariants_hours)
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
        invariant_watch=invariant_watch,
        worker=Worker((*loops.all, deliverer, invariant_watch)),
    )


async def _choices(edge: Edge) -> Mapping[str, Sequence[str]]:
    async with edge.read() as tx:
        catalogue = edge.service(Catalogue, tx)
        return {
            "images": [image.name for image in await catalogue.list_images()],
            "instance-types": [size.name for size in await catalogue.list_instance_types()],
        }


def _signing_key(settings: Settings) -> str:
    return settings.security.signing_key.get_secret_value() or load_or_create_signing_key(settings.data_dir)
