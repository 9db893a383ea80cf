"""What monitoring answers with. Numbers are never null: screens format them as they come."""
