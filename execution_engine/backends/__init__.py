"""The systems that execute jobs: one contract and a package per kind."""
