"""Webhooks: what happened, posted to whoever subscribed, signed, and again until it is taken."""
