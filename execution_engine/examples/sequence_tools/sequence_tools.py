"""Starts one function of this module in a job's work folder: ``python3 sequence_tools.py assembly_stats``."""

import sys

from seqtools.main import main  # type: ignore[import-not-found]  # beside this script, whatever the folder is called

sys.exit(main(sys.argv[1:]))
