"""A small Workspace service that speaks the protocol of KBase's own, for the embedded stack and for tests.

Workspaces, permissions and objects are real and last; what the real service has beyond that is left out, and asking for
it is refused with the real service's error for it. There is no database of types: ``save_objects`` accepts every type
that looks like ``Module.Type`` or ``Module.Type-1.0`` and does not check the data against it, so no references are
found inside objects either, and with no references there are no reference paths.
"""

from execution_engine.embedded.workspace.app import create_workspace_app

__all__ = ["create_workspace_app"]
