"""Credits, prices, metering and the ledger. Knows resources only by id."""
