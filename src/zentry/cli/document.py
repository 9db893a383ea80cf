"""`zentry openapi`: the document, without starting anything."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from zentry.platform.settings import Environment, Settings
from zentry.wiring import open_platform


def print_document() -> None:
    """Print the OpenAPI document as JSON."""
    sys.stdout.write(json.dumps(asyncio.run(document()), indent=2, ensure_ascii=False) + "\n")


async def document() -> dict[str, Any]:
    """Return the document; it does not depend on how the platform is configured."""
    with tempfile.TemporaryDirectory(prefix="zentry-") as directory:
        settings = Settings.model_construct(**{**_defaults(), "env": Environment.TEST, "data_dir": Path(directory)})
        async with open_platform(settings) as platform:
            return platform.app.openapi()


def _defaults() -> dict[str, Any]:
    return {name: field.get_default(call_default_factory=True) for name, field in Settings.model_fields.items()}
