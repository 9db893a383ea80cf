"""What keeps a process from starting, told to the person who starts it."""

from __future__ import annotations


class CannotStart(Exception):
    """The message is for a person: what is wrong, and what to do."""
