"""The kind ``slurm``: jobs on a Slurm cluster, by its REST daemon or by its commands."""

from execution_engine.backends.slurm.backend import SlurmBackend

__all__ = ["SlurmBackend"]
