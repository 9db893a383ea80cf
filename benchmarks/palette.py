"""Small PNG files of pictures that have few colours, such as those of a page: one of 256 colours for each pixel."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any, Final

import numpy as np
from playwright.sync_api import Page

Numbers = np.ndarray[Any, np.dtype[Any]]
_COLOURS: Final = 256
_SHADES: Final = 0xF8
_CHUNK: Final = 65_536
# Decodes a PNG where there is a decoder anyway.
_PIXELS: Final = """async (source) => {
  const picture = await createImageBitmap(await (await fetch(`data:image/png;base64,${source}`)).blob());
  const canvas = new OffscreenCanvas(picture.width, picture.height);
  const context = canvas.getContext("2d");
  context.drawImage(picture, 0, 0);
  const { data } = context.getImageData(0, 0, picture.width, picture.height);
  let text = "";
  for (let at = 0; at < data.length; at += 32768) text += String.fromCharCode(...data.subarray(at, at + 32768));
  return { width: picture.width, height: picture.height, data: btoa(text) };
}"""


def shrunk(picture: bytes, page: Page) -> bytes:
    """Return a PNG with at most 256 colours; `page` is an empty page whose browser decodes it."""
    told = page.evaluate(_PIXELS, base64.b64encode(picture).decode())
    pixels = np.frombuffer(base64.b64decode(told["data"]), dtype=np.uint8).reshape(-1, 4)[:, :3].astype(np.uint32)
    packed = pixels[:, 0] << 16 | pixels[:, 1] << 8 | pixels[:, 2]
    colours, places, counts = np.unique(packed, return_inverse=True, return_counts=True)
    palette = _chosen(colours, counts)
    indices = _nearest(colours, palette)[places.reshape(-1)].astype(np.uint8)
    return _encoded(indices.reshape(told["height"], told["width"]), palette)


def _chosen(colours: Numbers, counts: Numbers) -> Numbers:
    """Return the colours to keep: all, or the commonest of each shade, by how common the shade is."""
    if len(colours) <= _COLOURS:
        return colours
    shades = colours & (_SHADES << 16 | _SHADES << 8 | _SHADES)
    order = np.argsort(-counts, kind="stable")
    _, first, member = np.unique(shades[order], return_index=True, return_inverse=True)
    weights = np.bincount(member.reshape(-1), weights=counts[order])
    best = np.argsort(-weights, kind="stable")[:_COLOURS]
    chosen: Numbers = colours[order][first[best]]
    return chosen


def _nearest(colours: Numbers, palette: Numbers) -> Numbers:
    found = np.empty(len(colours), dtype=np.int64)
    entries = _channels(palette)
    for start in range(0, len(colours), _CHUNK):
        distance = ((_channels(colours[start : start + _CHUNK])[:, None, :] - entries[None, :, :]) ** 2).sum(axis=2)
        found[start : start + _CHUNK] = distance.argmin(axis=1)
    return found


def _channels(packed: Numbers) -> Numbers:
    return np.stack([packed >> 16 & 0xFF, packed >> 8 & 0xFF, packed & 0xFF], axis=1).astype(np.int32)


def _encoded(indices: Numbers, palette: Numbers) -> bytes:
    height, width = indices.shape
    rows = np.concatenate([np.zeros((height, 1), dtype=np.uint8), indices], axis=1).tobytes()
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    colours = _channels(palette).astype(np.uint8).tobytes()
    chunks = ((b"IHDR", header), (b"PLTE", colours), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
