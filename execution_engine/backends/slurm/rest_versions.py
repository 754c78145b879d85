"""The versions of Slurm's REST interface that the engine speaks; a further one is a further module and a row here."""

from execution_engine.backends.slurm.rest_v0_0_38 import V0038
from execution_engine.backends.slurm.rest_version import RestVersion

VERSIONS: dict[str, RestVersion] = {"v0.0.38": V0038()}
