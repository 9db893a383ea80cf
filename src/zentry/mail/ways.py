"""How the token of a mail is used: a link into the console where it is known where that is, and the token itself.

The link begins with the configured public URL and nothing else, never with anything of a request, so nobody can have
one sent that leads elsewhere. The token stands behind the `#`, which browsers send to no server.
"""

from __future__ import annotations


def way_to(what: str, token: str, *, public_url: str) -> str:
    """Return the lines with which a mail says how to use its token; `what` is the act that the console shows."""
    if not public_url:
        return f"Token: {token}"
    return f"{public_url.rstrip('/')}/console/#{what}={token}\n\nToken: {token}"
