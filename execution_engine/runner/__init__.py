"""What runs beside the job on the worker: standard library only."""
