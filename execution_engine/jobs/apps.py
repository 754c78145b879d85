"""Which app runs, at which commit, and how."""

from dataclasses import dataclass, replace
from typing import Any

from execution_engine.jobs.engine import Engine
from execution_engine.kbase.placement import Placement


@dataclass(frozen=True, slots=True)
class App:
    """One method at one commit.

    ``launch``: what a runner needs to execute it. ``placement``: where it is to run, and with what; the Catalog's
    administrators have the word, the app's own manifest where they say nothing.
    """

    method: str
    commit: str
    launch: dict[str, Any]
    placement: Placement
    needs_token: bool


def resolve_app(engine: Engine, method: str, version: str | None) -> App:
    """The app ``module.function`` at ``version`` (tag, semantic version or commit; default: the latest).

    Raises:
        AppNotFound: no such module, version or function; the message says which.
        AppMisconfigured: what the Catalog's administrators wrote of where it runs can't be used.
        CatalogUnavailable
    """
    module_name, function_name = method.split(".", 1)
    module = engine.modules.module_version(module_name, version)
    function = module.command_function(function_name)
    placement = engine.modules.placement(module_name, function_name)
    if module.command_app is None or function is None:
        # What a container needs beyond its image is the container launcher's affair; such apps always had the token.
        launch = {"kind": "container", "command": [], "directory": "", "image": module.docker_img_name}
        return App(method, module.git_commit_hash, launch, placement, needs_token=True)
    launch = {"kind": "command", "command": list(function.command), "directory": module.command_app.directory}
    placement = replace(placement, requirements={**function.requirements, **placement.requirements})
    return App(method, module.git_commit_hash, launch, placement, function.needs_token)
