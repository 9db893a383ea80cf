"""Projects and quotas: what an account's machines are grouped by, and how many there may be."""
