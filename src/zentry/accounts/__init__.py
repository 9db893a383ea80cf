"""Accounts: sign-up, sign-in, sessions and tokens, profiles, and the limits that protect them."""
