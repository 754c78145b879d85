"""The native module: the contract, and all of its methods bound to their code."""

from execution_engine.api import (
    audit,
    control,
    limits,
    logs,
    lookup,
    queue,
    resources,
    routes,
    runner,
    service,
    sharing,
    submit,
)
from execution_engine.api.callers import Rules
from execution_engine.api.heavy import limit_heavy_calls
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.wellbeing import Wellbeing
from execution_engine.rpc.kidl import parse
from execution_engine.rpc.registry import Policy, Registry
from execution_engine.rpc.voices import NativeVoice


def native_registry(engine: Engine, spec: str, wellbeing: Wellbeing | None = None, git_commit: str = "") -> Registry:
    """The registry of ``ExecutionEngine``; ``spec`` is the text of the contract.

    ``wellbeing`` is what ``status`` reports; None: of the engine's own parts alone.
    """
    registry = Registry(parse(spec, source="ExecutionEngine.spec"), Policy(unknown_keys="refuse"), NativeVoice())
    rules = Rules(engine)
    submit.register(registry, engine, rules)
    lookup.register(registry, engine, rules)
    logs.register(registry, engine, rules)
    control.register(registry, engine, rules)
    sharing.register(registry, engine, rules)
    queue.register(registry, engine, rules)
    resources.register(registry, engine, rules)
    routes.register(registry, engine, rules)
    limits.register(registry, engine, rules)
    audit.register(registry, engine, rules)
    runner.register(registry, engine, rules)
    service.register(registry, engine, rules, wellbeing or Wellbeing(engine, {}), git_commit)
    limit_heavy_calls(registry, engine.settings.max_heavy_calls)
    return registry
