"""The web console: static files that speak with the public API, and the routes that serve them."""
