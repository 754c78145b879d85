"""The process that speaks to one pool: a line of JSON with a call comes in, a line with its answer goes out."""

import json
import os
import sys
from typing import Any

from execution_engine.backends.condor.bindings import Pool, SubmitRefused, Unreachable


def main(collector: str, schedd: str) -> None:
    """Answers until nobody asks any more."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what the library prints is no answer
    pool = Pool(collector, schedd)
    for line in sys.stdin:
        answers.write(json.dumps(_answer(pool, json.loads(line))) + "\n")
        answers.flush()


def _answer(pool: Pool, request: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"result": getattr(pool, request["call"])(**request["arguments"])}
    except SubmitRefused as error:
        return {"refused": str(error), "transient": error.transient}
    except (Unreachable, OSError) as error:
        return {"failed": str(error)}


if __name__ == "__main__":
    main(*sys.argv[1:])
