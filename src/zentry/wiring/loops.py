"""What a worker process runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from random import Random

from zentry.accounts.sweep import sweep_counters
from zentry.billing.budget_watch import BudgetWatch
from zentry.billing.closing import Closing
from zentry.billing.meter import Meter
from zentry.compute.driver import ComputeDriver
from zentry.events.retention import EventRetention
from zentry.events.sequencer import Sequencer
from zentry.mail.sweep import sweep_mails
from zentry.mail.types import MailSender
from zentry.mail.worker import MailWorker
from zentry.monitoring.alerts.evaluator import AlertEvaluator
from zentry.monitoring.alerts.repository import sweep_alert_changes
from zentry.monitoring.collector import Collector
from zentry.monitoring.probe import RecentRequests
from zentry.monitoring.store import MetricsStore
from zentry.operations.idempotency import sweep_keys
from zentry.operations.runner import OperationRunner
from zentry.operations.types import Kind
from zentry.platform.clock import Clock
from zentry.platform.db import Database
from zentry.platform.sealing import Sealer
from zentry.platform.settings import Settings
from zentry.platform.signals import Signals
from zentry.platform.tracing import NO_TRACING, Tracing
from zentry.projects.sweep import sweep_invitations
from zentry.vms.hooks import SuspendForBudget, SuspendMachines
from zentry.vms.keeping import Keeping
from zentry.vms.reconciler import Reconciler
from zentry.vms.resumption import Resumption
from zentry.webhooks.deliverer import sweep_deliveries
from zentry.worker.sweeper import Sweeper
from zentry.worker.worker import Loop


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
    tracing: Tracing = NO_TRACING,
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
            tracing=tracing,
        ),
        meter=Meter(
            database=database,
            settings=settings.billing,
            clock=clock,
            sealer=sealer,
            on_exhausted=SuspendMachines(settings),
        ),
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
        alerts=AlertEvaluator(
            database=database,
            store=store,
            settings=settings.monitoring,
            clock=clock,
            random=random,
            sealer=sealer,
        ),
        keeping=Keeping(database=database, settings=settings, clock=clock, capabilities=driver.capabilities),
    )
