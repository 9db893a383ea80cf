"""Mail: an outbox that is written with its cause, and a loop that sends what lies in it."""
