from typing import Any

from werkzeug.test import Client

from execution_engine.rpc.protection import CONTENT_SECURITY_POLICY, Protected


def serving(*headers: tuple[str, str]) -> Client:
    def application(_environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", list(headers))
        return [b"{}"]

    return Client(Protected(application))


def test_whatever_is_served_may_load_run_and_frame_nothing() -> None:
    headers = serving(("Content-Type", "application/json")).get("/").headers
    assert headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    assert CONTENT_SECURITY_POLICY.startswith("default-src 'none'")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"


def test_a_page_keeps_the_policy_that_it_brings() -> None:
    own = ("content-security-policy", "default-src 'self'")
    assert serving(own).get("/").headers.getlist("Content-Security-Policy") == ["default-src 'self'"]
