"""TLS to PostgreSQL, by the words of its own URLs: `sslmode` and `sslrootcert`."""

from __future__ import annotations

import ssl
from typing import Any, Final

import sqlalchemy as sa

MODES: Final = ("sslmode", "ssl")
"""What everybody else calls the mode, and what our driver calls it."""
ROOT: Final = "sslrootcert"


def split_tls(url: sa.URL) -> tuple[sa.URL, dict[str, Any]]:
    """Return the URL as our driver takes it, and what it must be told beside it.

    The driver reads the file of the authority from the environment alone; a URL that names one gets
    a context of its own. As with PostgreSQL's own clients, an authority that is named is asked.
    """
    query = dict(url.query)
    mode = next((str(query.pop(name)) for name in MODES if name in query), "")
    root = str(query.pop(ROOT, ""))
    if not root:
        return url.set(query={**query, **({"ssl": mode} if mode else {})}), {}
    context = ssl.create_default_context(cafile=root)
    context.check_hostname = mode == "verify-full"
    return url.set(query=query), {"ssl": context}
