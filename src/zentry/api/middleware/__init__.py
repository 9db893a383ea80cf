"""Pure ASGI middleware; `zentry.api.app` says in which order it stands."""
