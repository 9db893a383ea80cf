"""What every domain stands on: database, settings, errors, clock, money, logging."""
