"""Zentry Cloud: a self-hostable cloud platform."""

from typing import Final

__version__: Final = "1.0.0"
