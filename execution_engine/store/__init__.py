"""What MongoDB holds: one module per collection, the indexes and the schema version."""
