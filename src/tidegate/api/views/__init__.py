"""What the wire shows of entities: pure functions from entity to JSON-ready values."""
