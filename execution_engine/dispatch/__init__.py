"""The process that hands jobs to backends and settles what became of them."""
