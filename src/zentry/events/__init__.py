"""The append-only event log: what happened, when, and why."""
