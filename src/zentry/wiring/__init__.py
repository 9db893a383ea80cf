"""Puts the platform together: the one place that knows every domain."""

from zentry.wiring.loops import Loops, assemble_loops
from zentry.wiring.platform import Platform, open_platform
from zentry.wiring.services import factories, signup_hooks

__all__ = ["Loops", "Platform", "assemble_loops", "factories", "open_platform", "signup_hooks"]
