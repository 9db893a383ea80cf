"""Every table, one module per domain. Reading any of them is free; only the owner writes."""

from zentry.schema import accounts, billing, events, mail, metadata, monitoring, operations, projects, vms, webhooks

__all__ = [
    "accounts",
    "billing",
    "events",
    "mail",
    "metadata",
    "monitoring",
    "operations",
    "projects",
    "vms",
    "webhooks",
]
