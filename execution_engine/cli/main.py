"""The program `execution-engine`: for those who run jobs, and for those who run the engine."""

import os
import sys

import click

from execution_engine import __version__
from execution_engine.cli.audit import audit
from execution_engine.cli.awe_runner import awe_runner
from execution_engine.cli.client import CallFailed, Unreachable
from execution_engine.cli.control import cancel, retry
from execution_engine.cli.exit_codes import Exit, help_text
from execution_engine.cli.jobs import jobs, show
from execution_engine.cli.limits import limits, remove_limit, set_limit
from execution_engine.cli.logs import logs
from execution_engine.cli.queue import queue
from execution_engine.cli.resources import drain, resources, resume, usage
from execution_engine.cli.routes import remove_route, routes, set_route
from execution_engine.cli.screen import complain
from execution_engine.cli.serve import serve
from execution_engine.cli.sharing import hide, share, unhide, unshare
from execution_engine.cli.status import status
from execution_engine.cli.submit import submit
from execution_engine.cli.up import up
from execution_engine.core.errors import ConfigurationError, InternalError


@click.group(epilog=help_text(), context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__)
def commands() -> None:
    """Run jobs on an Execution Engine, look at them, stop them; or run an engine on this machine (up).

    EE_URL names the engine, EE_TOKEN the token. Without them an engine on this machine is looked for in ./data.
    """


for command in (
    up,
    submit,
    jobs,
    show,
    logs,
    cancel,
    retry,
    share,
    unshare,
    hide,
    unhide,
    routes,
    set_route,
    remove_route,
    limits,
    set_limit,
    remove_limit,
    queue,
    resources,
    usage,
    drain,
    resume,
    audit,
    status,
    serve,
    awe_runner,
):
    commands.add_command(command)


def main() -> None:
    """The entry point: what goes wrong becomes one sentence and an exit code."""
    try:
        commands(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(Exit.USAGE)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(Exit.INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has left (a pager, head): no reason to complain, not even at the last flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(Exit.OK)
    except Unreachable as error:
        sys.exit(_fail(str(error), Exit.UNREACHABLE))
    except CallFailed as error:
        sys.exit(_fail(error.message, _exit_of(error)))
    except ConfigurationError as error:
        sys.exit(_fail(error.message, Exit.JOB_ERROR))


def _exit_of(error: CallFailed) -> Exit:
    if error.is_temporary:
        return Exit.UNREACHABLE
    return Exit.ENGINE_FAILED if error.code == InternalError.code else Exit.REFUSED


def _fail(message: str, code: Exit) -> Exit:
    complain(message)
    return code


if __name__ == "__main__":
    main()
