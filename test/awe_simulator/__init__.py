"""AWE 0.9.26 and 0.9.68 for tests: a server that answers as the recorded ones, and workers that run commands."""
