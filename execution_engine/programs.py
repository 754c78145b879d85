"""The engine's two programs as command lines. Their settings come from the file that KB_DEPLOYMENT_CONFIG names."""

import sys


def gunicorn(module: str, *options: str) -> list[str]:
    """Gunicorn with the engine's settings and further options, serving ``create_app()`` of a module."""
    settings = "python:execution_engine.gunicorn_settings"
    return [
        sys.executable,
        "-m",
        "gunicorn",
        "-c",
        settings,
        *options,
        f'execution_engine.wsgi:application("{module}")',
    ]


def web() -> list[str]:
    """The web server."""
    return gunicorn("execution_engine.app")


def dispatcher() -> list[str]:
    """The dispatcher; of several one works, the others stand by."""
    return [sys.executable, "-m", "execution_engine.dispatch"]
