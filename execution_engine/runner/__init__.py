"""What runs beside the job on the worker: standard library only, so that it needs nothing but ``python3`` there.

``main`` is the command line, ``attempt`` the life of one attempt from its start ticket to the acknowledged report
of its end. The other modules are one part each. The package imports quickly on purpose (no typing, dataclasses or
argparse at run time) and keeps to Python 3.8's language: workers are often older than servers.
"""
