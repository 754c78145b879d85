"""The ExecutionEngine methods."""
