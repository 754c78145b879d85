"""/healthz and /readyz: for what starts, stops and balances processes."""

from flask import Flask, Response, jsonify

from execution_engine.jobs.wellbeing import Wellbeing


def add_health(flask: Flask, wellbeing: Wellbeing) -> None:
    """Serve both paths."""

    @flask.get("/healthz")
    def healthz() -> Response:
        """This process is alive; asks nothing and nobody."""
        return jsonify(status="ok")

    @flask.get("/readyz")
    def readyz() -> tuple[Response, int]:
        """The database is there and has this version's schema: calls can be served."""
        reason = wellbeing.not_ready()
        return (jsonify(status="ok"), 200) if reason is None else (jsonify(status="not ready", reason=reason), 503)
