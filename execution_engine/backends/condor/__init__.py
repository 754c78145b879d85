"""The kind ``condor``: jobs in an HTCondor pool, through a schedd of this machine or of another one.

Nothing is imported here, because the worker's process starts with it, for each backend and after each call given up.
"""
