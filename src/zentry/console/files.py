"""The console's files, named by what is in them, and pressed once.

Everything lies under one folder of the address whose name is the digest of all of it. So an address never changes
its content, caches may keep it for ever, and the modules name each other by plain relative paths: no build step.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import zstandard

STATIC: Final = Path(__file__).parent / "static"
# Under which address a vendored file is served. Only these leave vendor/.
VENDORED: Final[Mapping[str, str]] = {
    "vendor/preact.mjs": "preact/preact.mjs",
    "vendor/hooks.mjs": "preact/hooks.mjs",
    "vendor/htm.mjs": "htm/htm.mjs",
    "vendor/signals.mjs": "signals/signals.mjs",
    "vendor/signals-core.mjs": "signals-core/signals-core.mjs",
    "vendor/uplot.mjs": "uplot/uPlot.esm.js",
    "vendor/uplot.css": "uplot/uPlot.min.css",
}
_MEDIA_TYPES: Final = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".svg": "image/svg+xml",
}
_DIGEST_LENGTH: Final = 16
_GZIP_LEVEL: Final = 9
_ZSTD_LEVEL: Final = 19


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is sent: plain, and pressed for who accepts that."""

    media_type: str
    plain: bytes
    gzip: bytes
    zstd: bytes

    def coded(self, coding: str | None) -> bytes:
        """Return the bytes in a coding."""
        if coding == "zstd":
            return self.zstd
        return self.gzip if coding == "gzip" else self.plain


class Files:
    """All files of the console, read when the process starts and pressed when they are first asked for."""

    def __init__(self, vendor: Path) -> None:
        self._sources = {
            file.relative_to(STATIC).as_posix(): file.read_bytes()
            for file in sorted(STATIC.rglob("*"))
            if file.suffix in _MEDIA_TYPES
        }
        self._sources |= {name: (vendor / source).read_bytes() for name, source in VENDORED.items()}
        digest = hashlib.sha256()
        for name, content in self._sources.items():
            digest.update(f"{name}\0{len(content)}\0".encode() + content)
        self.version = digest.hexdigest()[:_DIGEST_LENGTH]
        self._pressed: dict[str, Asset] = {}

    def has(self, name: str) -> bool:
        """Say whether there is such a file."""
        return name in self._sources

    def get(self, name: str) -> Asset:
        """Return a file that there is; the first call presses it, which takes some milliseconds."""
        asset = self._pressed.get(name)
        if asset is None:
            asset = self._pressed[name] = press(self._sources[name], _MEDIA_TYPES[Path(name).suffix])
        return asset


def press(content: bytes, media_type: str) -> Asset:
    """Return content with its pressed forms."""
    return Asset(
        media_type=media_type,
        plain=content,
        gzip=gzip.compress(content, compresslevel=_GZIP_LEVEL, mtime=0),
        zstd=zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compress(content),
    )
