"""Machines: their lifecycle, the catalogue, and the handlers that carry operations out."""
