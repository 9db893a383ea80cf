"""Every table of the first release."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

INSTANT = sa.DateTime(timezone=True)
DOCUMENT = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    """Create the tables, each before those that refer to it."""
    _create_events()
    _create_health_records()
    _create_images()
    _create_instance_types()
    _create_ip_leases()
    _create_login_failures()
    _create_price_lists()
    _create_quotas()
    _create_rate_limits()
    _create_users()
    _create_vm_metrics()
    _create_daily_spend()
    _create_holds()
    _create_idempotency_keys()
    _create_prices()
    _create_projects()
    _create_resource_costs()
    _create_segments()
    _create_sessions()
    _create_billing_records()
    _create_refresh_tokens()
    _create_vms()
    _create_ledger_entries()
    _create_operations()


def downgrade() -> None:
    """Drop the tables, those that refer to others first."""
    for table in (
        "operations",
        "ledger_entries",
        "vms",
        "refresh_tokens",
        "billing_records",
        "sessions",
        "segments",
        "resource_costs",
        "projects",
        "prices",
        "idempotency_keys",
        "holds",
        "daily_spend",
        "vm_metrics",
        "users",
        "rate_limits",
        "quotas",
        "price_lists",
        "login_failures",
        "ip_leases",
        "instance_types",
        "images",
        "health_records",
        "events",
    ):
        op.drop_table(table)


def _create_events() -> None:
    op.create_table(
        "events",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False, comment="subject.verb, such as vm.running"),
        sa.Column("user_id", sa.Uuid(), nullable=True, comment="Whose books and lists it belongs to."),
        sa.Column("project_id", sa.Uuid(), nullable=True),
        sa.Column("resource_type", sa.Text(), nullable=False),
        sa.Column("resource_id", sa.Uuid(), nullable=False),
        sa.Column(
            "cause", sa.Text(), nullable=False, comment="What brought it about, such as user, credit, operation."
        ),
        sa.Column(
            "actor_id", sa.Uuid(), nullable=True, comment="The account that asked; null for the platform itself."
        ),
        sa.Column("operation_id", sa.Uuid(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("data", DOCUMENT, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
    )
    op.create_index("ix_events_created_at", "events", ["created_at"], unique=False)
    op.create_index("ix_events_resource", "events", ["resource_id", "created_at"], unique=False)
    op.create_index("ix_events_user_created", "events", ["user_id", "created_at", "id"], unique=False)


def _create_health_records() -> None:
    op.create_table(
        "health_records",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("component", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("details", DOCUMENT, nullable=False),
        sa.Column("recorded_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_health_records")),
    )
    op.create_index(
        "ix_health_records_component_recorded", "health_records", ["component", "recorded_at"], unique=False
    )
    op.create_index("ix_health_records_recorded_at", "health_records", ["recorded_at"], unique=False)


def _create_images() -> None:
    op.create_table(
        "images",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("distribution", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("sort_order", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_images")),
    )


def _create_instance_types() -> None:
    op.create_table(
        "instance_types",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("vcpus", sa.Integer(), nullable=False),
        sa.Column("memory_mib", sa.Integer(), nullable=False),
        sa.Column("disk_gib", sa.Integer(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("sort_order", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "vcpus > 0 AND memory_mib > 0 AND disk_gib > 0", name=op.f("ck_instance_types_sizes_positive")
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_instance_types")),
    )


def _create_ip_leases() -> None:
    op.create_table(
        "ip_leases",
        sa.Column("address", sa.Text(), nullable=False, comment="An address is leased once or not at all."),
        sa.Column("vm_id", sa.Uuid(), nullable=False),
        sa.Column("leased_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("address", name=op.f("pk_ip_leases")),
        sa.UniqueConstraint("vm_id", name=op.f("uq_ip_leases_vm_id")),
    )


def _create_login_failures() -> None:
    op.create_table(
        "login_failures",
        sa.Column(
            "key", sa.Text(), nullable=False, comment="Hash of the submitted e-mail and the network it came from."
        ),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.CheckConstraint("count >= 0", name=op.f("ck_login_failures_count_not_negative")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_login_failures")),
    )
    op.create_index("ix_login_failures_expires_at", "login_failures", ["expires_at"], unique=False)


def _create_price_lists() -> None:
    op.create_table(
        "price_lists",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("effective_at", INSTANT, nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_price_lists")),
        sa.UniqueConstraint("effective_at", name=op.f("uq_price_lists_effective_at")),
    )


def _create_quotas() -> None:
    op.create_table(
        "quotas",
        sa.Column("owner_id", sa.Uuid(), nullable=False, comment="A user or a project."),
        sa.Column("resource", sa.Text(), nullable=False, comment="What is counted: projects or vms."),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.Column("maximum", sa.Integer(), nullable=False),
        sa.CheckConstraint("resource IN ('projects', 'vms')", name=op.f("ck_quotas_resource_known")),
        sa.CheckConstraint("maximum >= 0", name=op.f("ck_quotas_maximum_not_negative")),
        sa.CheckConstraint("used >= 0", name=op.f("ck_quotas_used_not_negative")),
        sa.PrimaryKeyConstraint("owner_id", "resource", name=op.f("pk_quotas")),
    )


def _create_rate_limits() -> None:
    op.create_table(
        "rate_limits",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column(
            "arrival_at", INSTANT, nullable=False, comment="GCRA: the theoretical arrival time of the next request."
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_rate_limits")),
    )
    op.create_index("ix_rate_limits_arrival_at", "rate_limits", ["arrival_at"], unique=False)


def _create_users() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False, comment="As the owner wrote it."),
        sa.Column("email_key", sa.Text(), nullable=False, comment="Case-folded; what uniqueness means."),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("hashed_password", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=True),
        sa.Column("last_login", INSTANT, nullable=True),
        sa.Column("credits", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("held", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("total_spent", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("billing_line_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("ledger_position", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("ledger_head", sa.Text(), server_default="", nullable=False),
        sa.Column("meter_due_at", INSTANT, nullable=True, comment="When the meter must look at the account next."),
        sa.CheckConstraint("role IN ('user', 'admin')", name=op.f("ck_users_role_known")),
        sa.CheckConstraint("held BETWEEN 0 AND credits", name=op.f("ck_users_never_overspent")),
        sa.CheckConstraint("total_spent >= 0", name=op.f("ck_users_spent_not_negative")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("email_key", name=op.f("uq_users_email_key")),
    )
    op.create_index(
        "ix_users_meter_due_at",
        "users",
        ["meter_due_at"],
        unique=False,
        postgresql_where=sa.text("meter_due_at IS NOT NULL"),
        sqlite_where=sa.text("meter_due_at IS NOT NULL"),
    )


def _create_vm_metrics() -> None:
    op.create_table(
        "vm_metrics",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("vm_id", sa.Uuid(), nullable=False),
        sa.Column(
            "recorded_at", INSTANT, nullable=False, comment="One sample of a machine per instant: a repeat is dropped."
        ),
        sa.Column("cpu_usage", sa.Double(), nullable=False, comment="Percent."),
        sa.Column("memory_usage", sa.Double(), nullable=False, comment="Percent."),
        sa.Column("disk_usage", sa.Double(), nullable=False, comment="Percent."),
        sa.Column("network_in", sa.Double(), nullable=False, comment="Bytes per second."),
        sa.Column("network_out", sa.Double(), nullable=False, comment="Bytes per second."),
        sa.PrimaryKeyConstraint("vm_id", "recorded_at", name=op.f("pk_vm_metrics")),
    )
    op.create_index("ix_vm_metrics_recorded_at", "vm_metrics", ["recorded_at"], unique=False)


def _create_daily_spend() -> None:
    op.create_table(
        "daily_spend",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("micros", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_daily_spend_user_id")),
        sa.PrimaryKeyConstraint("user_id", "day", name=op.f("pk_daily_spend")),
    )


def _create_holds() -> None:
    op.create_table(
        "holds",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("resource_id", sa.Uuid(), nullable=False),
        sa.Column("remaining", sa.BigInteger(), nullable=False, comment="Micro-credits still held."),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("closed_at", INSTANT, nullable=True),
        sa.CheckConstraint("status = 'open' OR remaining = 0", name=op.f("ck_holds_closed_is_empty")),
        sa.CheckConstraint("status IN ('open', 'closed')", name=op.f("ck_holds_status_known")),
        sa.CheckConstraint("remaining >= 0", name=op.f("ck_holds_remaining_not_negative")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_holds_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_holds")),
    )
    op.create_index(
        "ix_holds_user_id",
        "holds",
        ["user_id"],
        unique=False,
        postgresql_where=sa.text("status = 'open'"),
        sqlite_where=sa.text("status = 'open'"),
    )
    op.create_index(
        "uq_holds_open_resource",
        "holds",
        ["resource_id"],
        unique=True,
        postgresql_where=sa.text("status = 'open'"),
        sqlite_where=sa.text("status = 'open'"),
    )


def _create_idempotency_keys() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("route", sa.Text(), nullable=False, comment="Method and path template."),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False, comment="SHA-256 of path and body."),
        sa.Column("resource_id", sa.Uuid(), nullable=True),
        sa.Column("operation_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_idempotency_keys_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "route", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"], unique=False)


def _create_prices() -> None:
    op.create_table(
        "prices",
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("item", sa.Text(), nullable=False, comment="An instance type, or the fee 'vm_create'."),
        sa.Column("unit", sa.Text(), nullable=False, comment="hour: micro-credits per hour; each: per piece."),
        sa.Column("micros", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("unit IN ('hour', 'each')", name=op.f("ck_prices_unit_known")),
        sa.CheckConstraint("micros >= 0", name=op.f("ck_prices_price_not_negative")),
        sa.ForeignKeyConstraint(["version"], ["price_lists.version"], name=op.f("fk_prices_version")),
        sa.PrimaryKeyConstraint("version", "item", name=op.f("pk_prices")),
    )


def _create_projects() -> None:
    op.create_table(
        "projects",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False, comment="Case-folded; what uniqueness means."),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=True),
        sa.Column(
            "deleted_at", INSTANT, nullable=True, comment="Its machines and bills stay readable after it is gone."
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_projects_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_projects")),
    )
    op.create_index("ix_projects_user_created", "projects", ["user_id", "created_at", "id"], unique=False)
    op.create_index(
        "uq_projects_live_name",
        "projects",
        ["user_id", "name_key"],
        unique=True,
        postgresql_where=sa.text("deleted_at IS NULL"),
        sqlite_where=sa.text("deleted_at IS NULL"),
    )


def _create_resource_costs() -> None:
    op.create_table(
        "resource_costs",
        sa.Column("resource_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("charged_micros", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_resource_costs_user_id")),
        sa.PrimaryKeyConstraint("resource_id", name=op.f("pk_resource_costs")),
    )
    op.create_index("ix_resource_costs_project_id", "resource_costs", ["project_id"], unique=False)
    op.create_index("ix_resource_costs_user_id", "resource_costs", ["user_id"], unique=False)


def _create_segments() -> None:
    op.create_table(
        "segments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("resource_id", sa.Uuid(), nullable=False),
        sa.Column("resource_type", sa.Text(), nullable=False, comment="The instance type at the time."),
        sa.Column("meter", sa.Text(), nullable=False),
        sa.Column("price_version", sa.Integer(), nullable=False),
        sa.Column("rate_micros_per_hour", sa.BigInteger(), nullable=False),
        sa.Column("started_at", INSTANT, nullable=False),
        sa.Column("paid_until", INSTANT, nullable=False, comment="Up to here credit is held or captured."),
        sa.Column("charged_until", INSTANT, nullable=False),
        sa.Column("charged_micros", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", INSTANT, nullable=True),
        sa.Column("predecessor_id", sa.Uuid(), nullable=True),
        sa.Column("predecessor_ended_at", INSTANT, nullable=True),
        sa.CheckConstraint(
            "charged_until >= started_at AND charged_until <= paid_until", name=op.f("ck_segments_charged_within_paid")
        ),
        sa.CheckConstraint("ended_at IS NULL OR ended_at >= started_at", name=op.f("ck_segments_runs_forward")),
        sa.CheckConstraint(
            "predecessor_ended_at IS NULL OR started_at >= predecessor_ended_at", name=op.f("ck_segments_no_overlap")
        ),
        sa.CheckConstraint(
            "rate_micros_per_hour >= 0 AND charged_micros >= 0", name=op.f("ck_segments_amounts_not_negative")
        ),
        sa.ForeignKeyConstraint(["predecessor_id"], ["segments.id"], name=op.f("fk_segments_predecessor_id")),
        sa.ForeignKeyConstraint(["price_version"], ["price_lists.version"], name=op.f("fk_segments_price_version")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_segments_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_segments")),
        sa.UniqueConstraint("predecessor_id", name=op.f("uq_segments_predecessor_id")),
    )
    op.create_index("ix_segments_resource", "segments", ["resource_id", "started_at"], unique=False)
    op.create_index(
        "ix_segments_user_open",
        "segments",
        ["user_id", "paid_until"],
        unique=False,
        postgresql_where=sa.text("ended_at IS NULL"),
        sqlite_where=sa.text("ended_at IS NULL"),
    )
    op.create_index(
        "uq_segments_open",
        "segments",
        ["resource_id", "meter"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL"),
        sqlite_where=sa.text("ended_at IS NULL"),
    )


def _create_sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.Column("last_used_at", INSTANT, nullable=False),
        sa.Column("revoked_at", INSTANT, nullable=True),
        sa.Column("revoked_reason", sa.Text(), nullable=True),
        sa.Column("user_agent", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_sessions_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
    )
    op.create_index("ix_sessions_user_id", "sessions", ["user_id"], unique=False)


def _create_billing_records() -> None:
    op.create_table(
        "billing_records",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("vm_id", sa.Uuid(), nullable=True),
        sa.Column("project_id", sa.Uuid(), nullable=True),
        sa.Column("action_type", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False, comment="Micro-credits; charges are negative."),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("segment_id", sa.Uuid(), nullable=True),
        sa.Column("period_start", INSTANT, nullable=True),
        sa.Column("period_end", INSTANT, nullable=True),
        sa.Column("rate_micros_per_hour", sa.BigInteger(), nullable=True),
        sa.Column("price_version", sa.Integer(), nullable=True),
        sa.Column("resource_type", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "action_type IN ('vm_create', 'vm_usage', 'credit_add', 'credit_deduct')",
            name=op.f("ck_billing_records_action_type_known"),
        ),
        sa.ForeignKeyConstraint(["segment_id"], ["segments.id"], name=op.f("fk_billing_records_segment_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_billing_records_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_billing_records")),
    )
    op.create_index(
        "ix_billing_records_user_action", "billing_records", ["user_id", "action_type", "created_at"], unique=False
    )
    op.create_index("ix_billing_records_user_created", "billing_records", ["user_id", "created_at", "id"], unique=False)
    op.create_index("ix_billing_records_vm", "billing_records", ["vm_id", "created_at"], unique=False)


def _create_refresh_tokens() -> None:
    op.create_table(
        "refresh_tokens",
        sa.Column("hash", sa.Text(), nullable=False, comment="SHA-256 of the token; the token itself is nowhere."),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.Column("used_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], name=op.f("fk_refresh_tokens_session_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_refresh_tokens")),
    )
    op.create_index("ix_refresh_tokens_session_id", "refresh_tokens", ["session_id"], unique=False)


def _create_vms() -> None:
    op.create_table(
        "vms",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False, comment="Case-folded; what uniqueness means."),
        sa.Column("instance_type", sa.Text(), nullable=False),
        sa.Column("image", sa.Text(), nullable=False),
        sa.Column("vcpus", sa.Integer(), nullable=False),
        sa.Column("memory_mib", sa.Integer(), nullable=False),
        sa.Column("disk_gib", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("wanted", sa.Text(), nullable=False, comment="The wish: running, stopped or terminated."),
        sa.Column("stop_reason", sa.Text(), nullable=True),
        sa.Column("ip_address", sa.Text(), nullable=True),
        sa.Column("fence", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=True),
        sa.Column("last_started", INSTANT, nullable=True),
        sa.Column("last_stopped", INSTANT, nullable=True),
        sa.Column("terminated_at", INSTANT, nullable=True),
        sa.Column(
            "uptime_seconds", sa.BigInteger(), server_default="0", nullable=False, comment="Of sessions that ended."
        ),
        sa.CheckConstraint("status <> 'terminated' OR ip_address IS NULL", name=op.f("ck_vms_no_address_after_death")),
        sa.CheckConstraint(
            "status IN ('creating', 'running', 'stopped', 'error', 'terminated')", name=op.f("ck_vms_status_known")
        ),
        sa.CheckConstraint("wanted IN ('running', 'stopped', 'terminated')", name=op.f("ck_vms_wanted_known")),
        sa.CheckConstraint("uptime_seconds >= 0", name=op.f("ck_vms_uptime_not_negative")),
        sa.ForeignKeyConstraint(["image"], ["images.name"], name=op.f("fk_vms_image")),
        sa.ForeignKeyConstraint(["instance_type"], ["instance_types.name"], name=op.f("fk_vms_instance_type")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_vms_project_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_vms_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vms")),
    )
    op.create_index("ix_vms_project_created", "vms", ["project_id", "created_at"], unique=False)
    op.create_index(
        "ix_vms_running",
        "vms",
        ["id"],
        unique=False,
        postgresql_where=sa.text("status = 'running'"),
        sqlite_where=sa.text("status = 'running'"),
    )
    op.create_index(
        "ix_vms_user_live_first",
        "vms",
        [
            "user_id",
            sa.literal_column("(CASE WHEN status = 'terminated' THEN 0 ELSE 1 END) DESC"),
            sa.literal_column("created_at DESC"),
            sa.literal_column("id DESC"),
        ],
        unique=False,
    )
    op.create_index("ix_vms_user_status", "vms", ["user_id", "status", "created_at"], unique=False)
    op.create_index(
        "uq_vms_ip_address",
        "vms",
        ["ip_address"],
        unique=True,
        postgresql_where=sa.text("ip_address IS NOT NULL"),
        sqlite_where=sa.text("ip_address IS NOT NULL"),
    )
    op.create_index(
        "uq_vms_live_name",
        "vms",
        ["project_id", "name_key"],
        unique=True,
        postgresql_where=sa.text("status != 'terminated'"),
        sqlite_where=sa.text("status != 'terminated'"),
    )


def _create_ledger_entries() -> None:
    op.create_table(
        "ledger_entries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False, comment="1, 2, 3 … within the user's books."),
        sa.Column("debit", sa.Text(), nullable=False, comment="The account that the amount leaves."),
        sa.Column("credit", sa.Text(), nullable=False, comment="The account that it reaches."),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False, comment="What it was for; a cause posts once."),
        sa.Column("record_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("hash", sa.Text(), nullable=False, comment="Over this entry and the hash before it."),
        sa.CheckConstraint(
            "credit IN ('available', 'held', 'revenue', 'grants', 'top_ups', 'adjustments')",
            name=op.f("ck_ledger_entries_credit_known"),
        ),
        sa.CheckConstraint(
            "debit IN ('available', 'held', 'revenue', 'grants', 'top_ups', 'adjustments')",
            name=op.f("ck_ledger_entries_debit_known"),
        ),
        sa.CheckConstraint("amount > 0", name=op.f("ck_ledger_entries_amount_positive")),
        sa.CheckConstraint("debit <> credit", name=op.f("ck_ledger_entries_moves")),
        sa.ForeignKeyConstraint(["record_id"], ["billing_records.id"], name=op.f("fk_ledger_entries_record_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_ledger_entries_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_entries")),
        sa.UniqueConstraint("cause", name=op.f("uq_ledger_entries_cause")),
        sa.UniqueConstraint("user_id", "position", name=op.f("uq_ledger_entries_user_id_position")),
    )


def _create_operations() -> None:
    op.create_table(
        "operations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("vm_id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column(
            "step", sa.Integer(), server_default="0", nullable=False, comment="Steps done; undo counts them down."
        ),
        sa.Column("undoing", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("attempt", sa.Integer(), server_default="0", nullable=False),
        sa.Column("fence", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("lease_until", INSTANT, nullable=True),
        sa.Column("not_before", INSTANT, nullable=False),
        sa.Column("deadline", INSTANT, nullable=False),
        sa.Column("progress", sa.Integer(), server_default="0", nullable=False),
        sa.Column("input", DOCUMENT, nullable=False),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("started_at", INSTANT, nullable=True),
        sa.Column("finished_at", INSTANT, nullable=True),
        sa.CheckConstraint(
            "status IN ('pending', 'running', 'succeeded', 'failed', 'cancelled')",
            name=op.f("ck_operations_status_known"),
        ),
        sa.CheckConstraint("progress BETWEEN 0 AND 100", name=op.f("ck_operations_progress_percent")),
        sa.ForeignKeyConstraint(["vm_id"], ["vms.id"], name=op.f("fk_operations_vm_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operations")),
    )
    op.create_index(
        "ix_operations_due",
        "operations",
        ["not_before"],
        unique=False,
        postgresql_where=sa.text("status = 'pending'"),
        sqlite_where=sa.text("status = 'pending'"),
    )
    op.create_index(
        "ix_operations_lease",
        "operations",
        ["lease_until"],
        unique=False,
        postgresql_where=sa.text("status = 'running'"),
        sqlite_where=sa.text("status = 'running'"),
    )
    op.create_index("ix_operations_user", "operations", ["user_id", "created_at"], unique=False)
    op.create_index("ix_operations_vm", "operations", ["vm_id", "created_at"], unique=False)
    op.create_index(
        "uq_operations_active_vm",
        "operations",
        ["vm_id"],
        unique=True,
        postgresql_where=sa.text("status IN ('pending', 'running')"),
        sqlite_where=sa.text("status IN ('pending', 'running')"),
    )
