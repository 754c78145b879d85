"""What the engine wants executed."""

from __future__ import annotations

import json

from .trouble import Trouble

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Work:
    """The answer of ``get_job_params``, its parts by name. ``app``: kind, command, directory, image, env.

    ``limits``: output_bytes, line_chars, lines_per_call. ``time_left_ms``: None without a time limit.
    """

    def __init__(self, answer: dict[str, Any]) -> None:
        """Raises ``Trouble`` if the answer lacks what a runner can't do without."""
        try:
            self.job_id: str = answer["job_id"]
            self.user: str = answer["user"]
            self.method: str = answer["method"]
            self.params: list[Any] = answer["params"]
            self.app: dict[str, Any] = answer["app"]
            self.limits: dict[str, int] = answer["limits"]
        except (KeyError, TypeError) as missing:
            raise Trouble("start_failed", f"The engine's description of the job lacks {missing}.") from None
        self.service_ver: str = answer.get("service_ver", "")
        self.wsid: int | None = answer.get("wsid")
        self.token: str | None = answer.get("token")
        self.services: dict[str, str] = answer.get("services", {})
        self.time_left_ms: int | None = answer.get("time_left_ms")

    def input_json(self) -> bytes:
        """What the app finds as ``input.json``, in the form of KBase's SDK."""
        context: dict[str, Any] = {"service_ver": self.service_ver, "user": self.user}
        if self.wsid is not None:
            context["wsid"] = self.wsid
        request = {
            "version": "1.1",
            "id": self.job_id,
            "method": self.method,
            "params": self.params,
            "context": context,
        }
        return json.dumps(request).encode()
