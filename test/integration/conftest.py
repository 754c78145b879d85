"""Makes the modules beside the contract tests importable here too: the stand-ins are the same."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "contract"))
