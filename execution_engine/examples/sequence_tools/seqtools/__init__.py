"""What the functions of ``sequence_tools`` do. Standard library only, Python 3.8 and later.

``sdk`` is how an app talks with the engine: what it reads and leaves behind. ``main`` maps a function's name to the
module that computes it.
"""
