"""Which app runs, at which commit, and how."""

from dataclasses import dataclass
from typing import Any

from execution_engine.jobs.engine import Engine


@dataclass(frozen=True, slots=True)
class App:
    """One method at one commit. ``launch``: what a runner needs to execute it; ``needs``: its own requirements."""

    method: str
    commit: str
    launch: dict[str, Any]
    needs: dict[str, int]
    needs_token: bool


def resolve_app(engine: Engine, method: str, version: str | None) -> App:
    """The app ``module.function`` at ``version`` (tag, semantic version or commit; default: the latest).

    Raises:
        AppNotFound: no such module, version or function; the message says which.
        CatalogUnavailable
    """
    module_name, function_name = method.split(".", 1)
    module = engine.modules.module_version(module_name, version)
    function = module.command_function(function_name)
    if module.command_app is None or function is None:
        # What a container needs beyond its image is the container launcher's affair; such apps always had the token.
        launch = {"kind": "container", "command": [], "directory": "", "image": module.docker_img_name}
        return App(method, module.git_commit_hash, launch, {}, needs_token=True)
    launch = {"kind": "command", "command": list(function.command), "directory": module.command_app.directory}
    return App(method, module.git_commit_hash, launch, dict(function.requirements), function.needs_token)
