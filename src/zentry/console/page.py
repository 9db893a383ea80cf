"""The one page of the console, and what it may load.

The policy allows scripts and styles from this server's files alone. The import map is the one script that has to stand
in the page (browsers take no map from a file); the policy names it by its digest, so no other text in its place runs.
Trusted Types forbid every assignment of text as markup, so a name that holds a script stays a name.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from typing import Final

# What the first screen needs, so that the browser fetches it at once and not one import after the other.
_FIRST: Final = (
    "main.js",
    "vendor/preact.mjs",
    "vendor/hooks.mjs",
    "vendor/htm.mjs",
    "vendor/signals.mjs",
    "vendor/signals-core.mjs",
    "core/api.js",
    "core/changes.js",
    "core/fleet-words.js",
    "core/fleet.js",
    "core/format.js",
    "core/icons.js",
    "core/keys.js",
    "core/live.js",
    "core/mailed.js",
    "core/preferences.js",
    "core/resource.js",
    "core/router.js",
    "core/session.js",
    "core/view.js",
    "ui/basics.js",
    "ui/overlays.js",
    "ui/shell.js",
)
_STYLES: Final = ("css/tokens.css", "css/base.css", "css/parts.css", "css/screens.css")
_IMPORTS: Final = {
    "preact": "vendor/preact.mjs",
    "preact/hooks": "vendor/hooks.mjs",
    "htm": "vendor/htm.mjs",
    "@preact/signals": "vendor/signals.mjs",
    "@preact/signals-core": "vendor/signals-core.mjs",
    "uplot": "vendor/uplot.mjs",
}


def render_page(*, assets: str, root: str) -> tuple[bytes, str]:
    """Return the page whose files lie under the path `assets`, and its Content-Security-Policy."""
    import_map = json.dumps({"imports": {name: f"{assets}/{file}" for name, file in _IMPORTS.items()}})
    digest = base64.b64encode(hashlib.sha256(import_map.encode()).digest()).decode()
    base = html.escape(assets, quote=True)
    styles = "\n".join(f'<link rel="stylesheet" href="{base}/{name}">' for name in _STYLES)
    loads = "\n".join(f'<link rel="modulepreload" href="{base}/{name}">' for name in _FIRST)
    page = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover">
<meta name="color-scheme" content="light dark">
<title>Zentry Cloud</title>
<link rel="icon" type="image/svg+xml" href="{base}/icon.svg">
{styles}
<script src="{base}/theme.js"></script>
<script type="importmap">{import_map}</script>
{loads}
<script type="module" src="{base}/main.js"></script>
</head>
<body data-root="{html.escape(root, quote=True)}">
<div id="app"></div>
<noscript><p class="noscript">The console needs JavaScript. The API does not: see <a href="{html.escape(root)}/docs">its
documentation</a>.</p></noscript>
</body>
</html>
"""
    policy = (
        f"default-src 'none'; script-src 'self' 'sha256-{digest}'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )
    return page.encode(), policy
