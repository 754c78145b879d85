"""Clients of KBase's Auth2, Workspace and Catalog."""
