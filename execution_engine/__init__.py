"""The Execution Engine: one service between the people who run jobs and the systems that execute them."""

__version__ = "0.1.0"
