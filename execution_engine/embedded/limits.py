"""Sizes that all embedded services share."""

MAX_BODY_BYTES = 32 * 1024 * 1024
"""Largest request; beyond it the body is not read."""
