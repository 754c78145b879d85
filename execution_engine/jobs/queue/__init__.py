"""Where a waiting job stands in its client group, and when it may start."""
