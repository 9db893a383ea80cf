"""The durable queue: an operation is a row, written with its cause, that some worker carries to its end."""
