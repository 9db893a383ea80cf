"""What happened, as its owner may read it."""
