"""list_jobs: pages of mine, of what is shared with me, of workspaces, of all; each read within a bound."""

from execution_engine.jobs.listing.page import Page, list_jobs

__all__ = ["Page", "list_jobs"]
