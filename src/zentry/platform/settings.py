"""Every setting, as one frozen tree of small groups.

The environment is read here and nowhere else: `ZENTRY_<GROUP>__<FIELD>`, or a `.env` file in the
working directory. The reference page in docs/reference/settings.md is generated from this file.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Environment(StrEnum):
    """How strict the platform is with its own configuration."""

    DEVELOPMENT = "development"
    TEST = "test"
    PRODUCTION = "production"


class Group(BaseModel):
    """A group of settings: frozen, and without unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


Port = Annotated[int, Field(ge=0, le=65535)]
Positive = Annotated[float, Field(gt=0)]


class ServerSettings(Group):
    """The HTTP server."""

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: Port = Field(8000, description="Port to listen on; 0 takes a free one.")
    public_url: str = Field("", description="URL under which clients reach the API; empty derives it from the request.")
    cors_origins: tuple[str, ...] = Field(
        ("http://localhost:3000", "http://127.0.0.1:3000", "http://localhost:3001"),
        description="Origins of browser applications that may call the API, as a JSON list.",
    )
    cors_credentials: bool = Field(default=False, description="Whether browsers may send cookies; tokens need none.")
    max_body_bytes: int = Field(1_048_576, ge=1024, le=104_857_600, description="Largest request body in bytes.")
    max_json_depth: int = Field(32, ge=4, le=200, description="Deepest nesting of a JSON request body.")
    max_query_parameters: int = Field(100, ge=10, le=10_000, description="Most query parameters in a request.")
    body_timeout_seconds: Positive = Field(10.0, le=300, description="Longest time for a request body to arrive.")
    shutdown_seconds: Positive = Field(10.0, le=600, description="How long open requests may go on after a stop.")
    compress_from_bytes: int = Field(1024, ge=100, description="Smallest answer that is compressed.")
    docs: bool = Field(default=True, description="Whether /docs, /redoc and /openapi.json are served.")
    console: bool = Field(default=True, description="Whether the web console is served at /console.")


class DatabaseSettings(Group):
    """Where the data lies and how it is reached."""

    url: str = Field("", description="sqlite:///PATH or postgresql://…; empty means zentry.db in the data directory.")
    direct_url: str = Field(
        "", description="PostgreSQL behind a pooler: the URL that bypasses it, for wake-ups; empty takes the url."
    )
    pool_size: int = Field(12, ge=1, le=200, description="Connections kept open per process.")
    pool_overflow: int = Field(0, ge=0, le=200, description="More under load, each opened and closed for one use.")
    pool_timeout_seconds: Positive = Field(10.0, le=120, description="Longest wait for a connection from the pool.")
    pool_recycle_seconds: int = Field(1800, ge=60, description="Age at which a connection is replaced.")
    connect_timeout_seconds: Positive = Field(5.0, le=60, description="Longest wait for a new connection.")
    statement_timeout_seconds: Positive = Field(30.0, le=600, description="Longest run of one statement (PostgreSQL).")
    slow_query_seconds: Positive = Field(0.25, le=60, description="Statements slower than this are logged.")
    sqlite_cache_kib: int = Field(8192, ge=512, le=1_048_576, description="Page cache per SQLite connection in KiB.")
    migrate_on_start: bool = Field(default=True, description="Whether `serve` brings the schema up to date.")
    allow_sqlite_in_production: bool = Field(default=False, description="Accept SQLite where env is production.")


class SecuritySettings(Group):
    """Passwords, tokens, and the limits that protect them."""

    signing_key: SecretStr = Field(
        SecretStr(""),
        description="Secret of at least 32 characters that signs tokens, or an Ed25519 private key in PEM; empty keeps "
        "one in the data directory.",
    )
    previous_signing_keys: tuple[SecretStr, ...] = Field(
        (), max_length=5, description="Keys whose tokens are still accepted after a rotation, as a JSON list."
    )
    encryption_keys: tuple[SecretStr, ...] = Field(
        (),
        max_length=10,
        description="Secrets of at least 32 characters that seal texts in the database, as a JSON list: the first "
        "seals, all open. Empty seals under the signing key.",
    )
    password_hash: Annotated[str, Field(pattern="^(bcrypt|argon2id)$")] = Field(
        "bcrypt", description="How new password hashes are made; those that are there are made anew at the next login."
    )
    argon2_rounds: int = Field(2, ge=1, le=20, description="Passes of argon2id over its memory.")
    argon2_memory_mib: int = Field(19, ge=8, le=1024, description="Memory of one argon2id hash in MiB.")
    bcrypt_cost: int = Field(12, ge=4, le=16, description="Work factor of password hashes; production demands 10.")
    hash_threads: int = Field(
        0,
        ge=0,
        le=16,
        description="Passwords hashed at once; 0 is one less than there are processors, from one to two.",
    )
    hash_queue: int = Field(128, ge=1, le=10_000, description="Sign-ins that may wait for a hash before 503.")
    verify_email: bool = Field(
        default=False, description="Whether the welcome credit waits until the owner of the address has confirmed it."
    )
    password_min_length: int = Field(8, ge=8, le=128, description="Shortest password in characters.")
    access_token_seconds: int = Field(3600, ge=60, le=86_400, description="Life of an access token.")
    refresh_token_seconds: int = Field(
        604_800, ge=3600, le=31_536_000, description="Life of a refresh token: a session that is not used for it ends."
    )
    session_seconds: int = Field(
        2_592_000, ge=3600, le=31_536_000, description="Life of a session, however much it is used."
    )
    proof_seconds: int = Field(
        900,
        ge=60,
        le=86_400,
        description="How long a login, or a password sent once more, is enough for acts that give power away.",
    )
    token_cache_seconds: Annotated[float, Field(ge=0, le=1)] = Field(
        1.0, description="How long a verified token is trusted without a look at its session."
    )
    token_cache_size: int = Field(10_000, ge=0, le=1_000_000, description="Verified tokens remembered per process.")
    login_failures: int = Field(
        5, ge=1, le=100, description="Failed sign-ins of one e-mail and network before a pause."
    )
    login_pause_seconds: int = Field(900, ge=1, le=86_400, description="Length of that pause.")
    trusted_proxies: tuple[str, ...] = Field(
        (), description="Networks of reverse proxies whose X-Forwarded-For is believed, as a JSON list."
    )
    hsts: bool = Field(default=False, description="Send Strict-Transport-Security; set it where TLS ends before us.")


class LimitSettings(Group):
    """Most requests in any minute. Zero turns a limit off."""

    signin_per_minute: int = Field(10, ge=0, description="Sign-ups and sign-ins of one network.")
    writes_per_minute: int = Field(120, ge=0, description="Changes by one account.")
    reads_per_minute: int = Field(1200, ge=0, description="Reads by one token, in each process.")
    anonymous_per_minute: int = Field(
        3000, ge=0, description="Requests of one network without a valid token, in each process."
    )
    vouchers_per_minute: int = Field(10, ge=0, description="Attempts of one account to redeem a voucher.")


class BillingSettings(Group):
    """Credits and metering."""

    welcome_credits: float = Field(50.0, ge=0, le=10_000, description="Grant at sign-up.")
    self_service_credit: bool = Field(default=True, description="Whether users may add credits to themselves.")
    max_top_up: float = Field(10_000.0, gt=0, le=1_000_000, description="Largest single addition of credits.")
    max_balance: float = Field(1_000_000.0, gt=0, le=1_000_000_000, description="Largest balance of an account.")
    window_seconds: int = Field(3600, ge=60, le=86_400, description="How far ahead a running machine's credit is held.")
    renew_before_seconds: int = Field(120, ge=1, le=3600, description="How long before a hold ends it is renewed.")
    suspend_before_seconds: int = Field(
        15, ge=1, le=3600, description="How long before its hold ends an unpaid machine is stopped."
    )
    renew_first: Annotated[str, Field(pattern="^(oldest|newest|cheapest|dearest)$")] = Field(
        "oldest", description="Which running machine the last credit goes to; the others are stopped before it."
    )
    warn_hours: tuple[Annotated[float, Field(gt=0, le=8760)], ...] = Field(
        (72.0, 24.0, 1.0), description="Hours before the credit ends by which an event and a mail warn, as a JSON list."
    )
    resume_on_credit: bool = Field(
        default=True, description="Whether machines that were stopped for credit start again when there is some."
    )
    resume_seconds: Positive = Field(60.0, le=86_400, description="Look for them at least this often.")
    grace_days: float = Field(
        30.0, ge=0, le=3650, description="How long what is stopped or kept without credit stays; 0 is for ever."
    )
    price_notice_hours: float = Field(
        48.0, ge=26, le=8760, description="How long before it takes effect a price list must be announced."
    )
    minimum_credits: float = Field(0.10, ge=0, le=1000, description="Least available credit to create a machine.")
    meter_interval_seconds: Positive = Field(5.0, le=3600, description="How often the meter looks for due accounts.")
    statement_after_hours: float = Field(
        1.0, ge=0, le=720, description="How long after the end of a month its statements are closed."
    )
    statement_interval_seconds: Positive = Field(
        300.0, le=86_400, description="How often it is looked for statements to close."
    )
    budget_interval_seconds: Positive = Field(60.0, le=86_400, description="How often budgets are compared with use.")


class ComputeSettings(Group):
    """The engine that runs machines."""

    driver: str = Field("simulator", description="Name of the driver, from the entry points `zentry.drivers`.")
    network: str = Field("10.64.0.0/12", description="IPv4 network from which machines get their addresses.")
    stop_grace_seconds: Positive = Field(10.0, le=600, description="How long a guest may take to shut down.")


class SimulatorSettings(Group):
    """The simulated world."""

    seed: int = Field(1, ge=0, description="What all of its randomness grows from.")
    hosts: int = Field(16, ge=1, le=100_000, description="Hosts in the world.")
    host_vcpus: int = Field(256, ge=1, description="Virtual CPUs per host.")
    host_memory_mib: int = Field(524_288, ge=512, description="Memory per host in MiB.")
    host_disk_gib: int = Field(32_768, ge=1, description="Disk per host in GiB.")
    placement: Annotated[str, Field(pattern="^(spread|pack|first)$")] = Field(
        "spread", description="Host that takes a machine: most free memory (spread), least (pack), or lowest number."
    )
    boot_seconds: float = Field(0.25, ge=0, le=3600, description="Median time to boot a machine.")
    action_seconds: float = Field(0.10, ge=0, le=3600, description="Median time of other actions.")


class OperationSettings(Group):
    """The durable queue and its workers."""

    concurrency: int = Field(32, ge=1, le=1000, description="Operations that one worker drives at once.")
    lease_seconds: Positive = Field(15.0, le=600, description="How long a claim holds without renewal.")
    poll_seconds: Positive = Field(1.0, le=3600, description="Look for work at least this often.")
    sweep_seconds: Positive = Field(60.0, le=86_400, description="Forget what is over at least this often.")
    deadline_seconds: Positive = Field(300.0, le=86_400, description="Every operation ends within this time.")
    max_attempts: int = Field(8, ge=1, le=100, description="Tries of a step that may help to repeat.")
    wait_seconds: Annotated[float, Field(ge=0, le=30)] = Field(
        1.0, description="How long a lifecycle call waits for its operation before it answers."
    )


class ReconcilerSettings(Group):
    """The comparison of rows with what the hosts have."""

    interval_seconds: Positive = Field(30.0, le=86_400, description="Time between two looks at the same machine.")
    restart: bool = Field(
        default=True, description="Whether a machine that is found down is started again; else it stays stopped."
    )
    orphan_grace_seconds: float = Field(
        300.0, ge=0, le=604_800, description="How long after its end a machine that a host still has is removed."
    )
    repairs_per_region: int = Field(200, ge=1, le=100_000, description="Most machines mended in a region at a time.")
    page_machines: int = Field(500, ge=2, le=10_000, description="Machines compared at a time.")
    region_machines: int = Field(5000, ge=2, le=1_000_000, description="Machines beyond which a region is cut in two.")
    lease_seconds: Positive = Field(60.0, le=3600, description="How long a region is held without renewal.")
    pass_seconds: Positive = Field(300.0, le=86_400, description="Longest walk through a region.")


_MOST_COUNTED: Final = 2_000_000_000
_EACH_MACHINE: Final = (4, 8192, 80)
_UNSET: Final = "unset means {} for each machine that it may have"
Counted = Annotated[int | None, Field(ge=0, le=_MOST_COUNTED)]


class QuotaSettings(Group):
    """Limits of a new account and of a new project."""

    projects_per_user: int = Field(10, ge=0, le=100_000, description="Projects of one account.")
    vms_per_user: int = Field(50, ge=0, le=1_000_000, description="Machines of one account.")
    vms_per_project: int = Field(20, ge=0, le=1_000_000, description="Machines of one project.")
    snapshots_per_user: int = Field(100, ge=0, le=1_000_000, description="Snapshots of one account.")
    snapshots_per_project: int = Field(40, ge=0, le=1_000_000, description="Snapshots of one project.")
    members_per_project: int = Field(50, ge=0, le=10_000, description="People in one project besides its owner.")
    shared_projects_per_user: int = Field(
        100, ge=0, le=1_000, description="Projects of others that one account may work in."
    )
    invitations_per_day: int = Field(
        100, ge=0, le=100_000, description="Invitations sent by mail for the projects of one account in 24 hours."
    )
    invitation_hours: int = Field(168, ge=1, le=2_160, description="How long an invitation can be accepted.")
    vcpus_per_user: Counted = Field(None, description=f"vCPUs of one account; {_UNSET.format('4 vCPUs')}.")
    vcpus_per_project: Counted = Field(None, description=f"vCPUs of one project; {_UNSET.format('4 vCPUs')}.")
    memory_mib_per_user: Counted = Field(None, description=f"Memory of one account; {_UNSET.format('8192 MiB')}.")
    memory_mib_per_project: Counted = Field(None, description=f"Memory of one project; {_UNSET.format('8192 MiB')}.")
    disk_gib_per_user: Counted = Field(None, description=f"Disk of one account; {_UNSET.format('80 GiB')}.")
    disk_gib_per_project: Counted = Field(None, description=f"Disk of one project; {_UNSET.format('80 GiB')}.")

    @property
    def account_sizes(self) -> tuple[int, int, int]:
        """VCPUs, MiB of memory and GiB of disk of a new account."""
        given = (self.vcpus_per_user, self.memory_mib_per_user, self.disk_gib_per_user)
        return _sizes(given, vms=self.vms_per_user)

    @property
    def project_sizes(self) -> tuple[int, int, int]:
        """VCPUs, MiB of memory and GiB of disk of a new project."""
        given = (self.vcpus_per_project, self.memory_mib_per_project, self.disk_gib_per_project)
        return _sizes(given, vms=self.vms_per_project)


def _sizes(given: tuple[int | None, int | None, int | None], *, vms: int) -> tuple[int, int, int]:
    vcpus, memory_mib, disk_gib = (
        min(_MOST_COUNTED, vms * each) if one is None else one for one, each in zip(given, _EACH_MACHINE, strict=True)
    )
    return vcpus, memory_mib, disk_gib


class MonitoringSettings(Group):
    """Samples and health."""

    sample_seconds: Positive = Field(30.0, le=3600, description="Time between samples of a running machine.")
    sample_batch: int = Field(1000, ge=1, le=100_000, description="Machines sampled in one batch.")
    sample_queue: int = Field(
        50_000, ge=1000, le=10_000_000, description="Samples kept for a store that is away; the oldest are dropped."
    )
    store: Annotated[str, Field(pattern="^(sql|victoriametrics)$")] = Field(
        "sql", description="Where samples lie: sql, the database; or victoriametrics, a server beside it."
    )
    victoria_url: SecretStr = Field(
        SecretStr("http://127.0.0.1:8428"), description="URL of the VictoriaMetrics server, with user and password."
    )
    retention_days: int = Field(14, ge=1, le=3650, description="How long samples are kept.")
    retention_5m_days: int = Field(
        90, ge=1, le=3650, description="How long averages and peaks of five minutes are kept."
    )
    alert_seconds: Positive = Field(30.0, le=3600, description="Time between two judgements of an alert policy.")
    invariants_hours: Positive = Field(
        24.0, le=720, description="Time between two recomputations of books and machines for the platform's health."
    )
    retention_1h_days: int = Field(730, ge=1, le=36_500, description="How long averages and peaks of an hour are kept.")


class MailSettings(Group):
    """Mails to users."""

    transport: Annotated[str, Field(pattern="^(file|console|smtp)$")] = Field(
        "file", description="smtp sends; file writes into `mail` in the data directory, console into the log."
    )
    host: str = Field("localhost", description="SMTP server.")
    port: Port = Field(587, description="Its port.")
    tls: Annotated[str, Field(pattern="^(starttls|tls|none)$")] = Field(
        "starttls", description="starttls (port 587) or tls (port 465), both with a checked certificate; or none."
    )
    ca_file: str = Field("", description="Certificates of the authority of the server; empty takes the system's.")
    username: str = Field("", description="Account at the SMTP server; empty sends without one.")
    password: SecretStr = Field(SecretStr(""), description="Its password.")
    sender_address: Annotated[str, Field(pattern=r"^[A-Za-z0-9._+-]+@[A-Za-z0-9.-]+$")] = Field(
        "no-reply@zentry.example", description="Address that mails come from."
    )
    sender_name: str = Field("Zentry Cloud", max_length=100, description="Name that mails come from.")
    timeout_seconds: Positive = Field(30.0, le=300, description="Longest time to hand over one mail.")
    max_attempts: int = Field(10, ge=1, le=100, description="Tries before a mail is given up.")
    retry_seconds: Positive = Field(30.0, le=3600, description="Pause after the first failure; it doubles each time.")
    poll_seconds: Positive = Field(30.0, le=3600, description="Look for mails at least this often.")


class EventSettings(Group):
    """The log of what happened."""

    poll_seconds: Positive = Field(1.0, le=3600, description="Look for events without a position at least this often.")
    gather_seconds: Annotated[float, Field(ge=0, le=60)] = Field(
        0.02, description="How long events are gathered before they get their positions together."
    )
    batch: int = Field(500, ge=1, le=5000, description="Most events that get their positions in one transaction.")
    retention_days: int = Field(400, ge=30, le=36_500, description="How long events are kept.")
    details_days: int = Field(
        90, ge=1, le=36_500, description="How long addresses, sessions and clients of events are kept."
    )
    heartbeat_seconds: Positive = Field(
        15.0, le=300, description="A stream without events shows this often that it lives, and asks again who listens."
    )
    stream_seconds: Positive = Field(
        3600.0, le=86_400, description="A stream is ended after this time; its client goes on with another."
    )
    streams_per_account: int = Field(20, ge=1, le=10_000, description="Streams of one account in one process.")
    streams: int = Field(5000, ge=1, le=100_000, description="Streams of all accounts in one process.")
    stream_backlog: int = Field(
        1000, ge=1, le=100_000, description="Events that may wait for a slow client before its stream is ended."
    )
    replays: int = Field(4, ge=1, le=100, description="Streams of one process that read what they missed at a time.")


class WebhookSettings(Group):
    """Events that are posted to others' URLs."""

    allow_http: bool = Field(
        default=False, description="Whether URLs without TLS are posted to; for development and closed networks."
    )
    allowed_networks: tuple[str, ...] = Field(
        (), description="Networks that are posted to although they are not public, such as 10.0.0.0/8."
    )
    ca_file: str = Field("", description="Certificates of authorities that are trusted beside the well-known ones.")
    timeout_seconds: Positive = Field(10.0, le=60, description="How long a receiver may take to answer.")
    retry_seconds: tuple[Positive, ...] = Field(
        (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400),
        min_length=1,
        max_length=30,
        description="Pauses between the attempts of a delivery; after the last it is dead.",
    )
    disable_after_days: float = Field(
        5.0, gt=0, le=365, description="A webhook that has failed for so long without a success is disabled."
    )
    rotation_hours: float = Field(24.0, ge=0, le=720, description="How long an old secret signs beside the new one.")
    keep_days: int = Field(30, ge=1, le=3650, description="How long ended deliveries are kept.")
    webhooks_per_account: int = Field(50, ge=0, le=10_000, description="Webhooks of one account.")
    concurrency: int = Field(16, ge=1, le=1000, description="Posts that one worker has under way at once.")
    concurrency_per_webhook: int = Field(4, ge=1, le=1000, description="Of these, posts to one webhook.")
    lease_seconds: Positive = Field(90.0, ge=70, le=3600, description="When a post of a dead worker is made again.")
    poll_seconds: Positive = Field(1.0, le=3600, description="Look for due deliveries at least this often.")


class LogSettings(Group):
    """The log."""

    level: Annotated[str, Field(pattern="^(debug|info|warning|error)$")] = Field(
        "info", description="Least level that is written."
    )
    format: Annotated[str, Field(pattern="^(json|console)$")] = Field("console", description="json or console.")


class TracingSettings(Group):
    """Traces for a collector of OpenTelemetry; they need the extra `tracing`."""

    endpoint: Annotated[str, Field(pattern="^(https?://.+)?$")] = Field(
        "", description="URL that spans are sent to by OTLP over HTTP, such as http://127.0.0.1:4318/v1/traces."
    )
    sample_ratio: float = Field(1.0, ge=0, le=1, description="Share of traces that are kept.")


class Settings(BaseSettings):
    """The whole tree."""

    model_config = SettingsConfigDict(
        env_prefix="ZENTRY_",
        env_nested_delimiter="__",
        env_file=".env",
        extra="forbid",
        frozen=True,
        nested_model_default_partial_update=True,
    )

    env: Environment = Field(Environment.DEVELOPMENT, description="development, test or production.")
    data_dir: Path = Field(
        Path("data"), description="Directory of the embedded database, the simulator's world and the key."
    )
    server: ServerSettings = ServerSettings()
    database: DatabaseSettings = DatabaseSettings()
    security: SecuritySettings = SecuritySettings()
    limits: LimitSettings = LimitSettings()
    billing: BillingSettings = BillingSettings()
    compute: ComputeSettings = ComputeSettings()
    simulator: SimulatorSettings = SimulatorSettings()
    operations: OperationSettings = OperationSettings()
    reconciler: ReconcilerSettings = ReconcilerSettings()
    quotas: QuotaSettings = QuotaSettings()
    monitoring: MonitoringSettings = MonitoringSettings()
    mail: MailSettings = MailSettings()
    events: EventSettings = EventSettings()
    webhooks: WebhookSettings = WebhookSettings()
    log: LogSettings = LogSettings()
    tracing: TracingSettings = TracingSettings()

    @property
    def resolved_database(self) -> DatabaseSettings:
        """The database group with the embedded default filled in."""
        if self.database.url:
            return self.database
        return self.database.model_copy(update={"url": f"sqlite:///{self.data_dir.absolute() / 'zentry.db'}"})


MIN_PRODUCTION_BCRYPT_COST: Final = 10
