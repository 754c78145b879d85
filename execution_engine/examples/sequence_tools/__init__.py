"""The app module ``sequence_tools``: a start script, ``sequence_tools.py``, and its package ``seqtools``."""
