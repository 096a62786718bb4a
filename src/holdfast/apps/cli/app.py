from collections.abc import Iterable
from importlib.metadata import version

from cyclopts import App, Group, Parameter

from holdfast.apps.cli.decisions import DecisionCommands
from holdfast.apps.cli.deps import CliDeps
from holdfast.apps.cli.exits import sentences
from holdfast.apps.cli.files import FileCommands
from holdfast.apps.cli.runs import RunCommands

_HELP = """\
Holdfast runs incident runbooks that hold: reviewed YAML files, staged, signed off, undone by journal.

A run belongs to the Temporal server, not to this command: whatever dies, the run goes on from where it was."""

_EXAMPLES = """\
Examples:
  holdfast runbooks                              what can be started
  holdfast run rollout support-surge --as anna   start it
  holdfast show rollout-4f7qk2mz                 what is asked, on what numbers
  holdfast approve rollout-4f7qk2mz --as boris   answer the open gate
  holdfast validate --all                        before a runbook is reviewed

Exit codes:
  0  done; with --wait: promoted
  1  it ended otherwise: rolled back, stopped, failed; a decision did not count
  2  wrong input
  3  the Temporal server does not answer
  4  a bug in Holdfast"""

_RUN_EXAMPLES = """\
Examples:
  holdfast run rollout support-surge --as anna
  holdfast run rollout support-surge --as anna --pace demo --wait
  holdfast run rollout support-surge --as anna --json | jq -r .run_id"""

_DECIDE_EXAMPLES = """\
Examples:
  holdfast {command} rollout-4f7qk2mz --as boris
  holdfast {command} rollout-4f7qk2mz --as boris --gate 1-bot-rate-limit
  holdfast {command} rollout-4f7qk2mz --as boris --reason 'seen on the dashboard'

The answer counts only if you are an approver of the gate, once.
While no worker is up it is stored, and counted as soon as one is."""

_VALIDATE_EXAMPLES = """\
Examples:
  holdfast validate runbooks/rollout/support-surge.yaml
  holdfast validate --all

Each problem is one line: FILE:LINE: field: what is wrong
Any problem makes the exit code 2."""


def build_app(deps: CliDeps) -> App:
    """Build the `holdfast` command; call it through `main`, which tells errors in sentences."""
    app = App(
        name="holdfast",
        help=_HELP,
        help_format="plaintext",
        help_epilogue=_EXAMPLES,
        version=version("holdfast"),
        default_parameter=Parameter(negative=()),
        error_formatter=str,
    )
    _add_runs(app, RunCommands(deps))
    _add_decisions(app, DecisionCommands(deps))
    _add_files(app, FileCommands(deps))
    _add_roles(app, deps)
    return app


def main(deps: CliDeps, tokens: Iterable[str] | None = None) -> None:
    """Run one command and leave with its exit code, see `exits.Exit`.

    Args:
        deps: what the commands work with.
        tokens: the arguments; None for those of this process.

    Raises:
        SystemExit: at the end of every command.
    """
    with sentences():
        build_app(deps)(None if tokens is None else list(tokens))


def _add_runs(app: App, commands: RunCommands) -> None:
    group = Group("Runs", sort_key=1)
    run = App(name="run", help="Start a run.", group=group, help_epilogue=_RUN_EXAMPLES)
    run.command(commands.rollout, help_epilogue=_RUN_EXAMPLES)
    app.command(run)
    app.command(commands.runs, group=group)
    app.command(commands.show, group=group)


def _add_decisions(app: App, commands: DecisionCommands) -> None:
    group = Group("Decisions", sort_key=2)
    app.command(commands.approve, group=group, help_epilogue=_DECIDE_EXAMPLES.format(command="approve"))
    app.command(commands.reject, group=group, help_epilogue=_DECIDE_EXAMPLES.format(command="reject"))


def _add_files(app: App, commands: FileCommands) -> None:
    group = Group("Files", sort_key=3)
    app.command(commands.validate, group=group, help_epilogue=_VALIDATE_EXAMPLES)
    app.command(commands.runbooks, group=group)
    app.command(commands.people, group=group)
    app.command(commands.schema, group=group)


def _add_roles(app: App, deps: CliDeps) -> None:
    group = Group("Processes", sort_key=4)

    def worker() -> None:
        """Serve runs until told to stop: workflows, changes, watching, the chat's messages."""
        deps.start_worker()

    def bot() -> None:
        """Serve the Telegram bot until told to stop: starts, approvals and questions from the chat."""
        deps.start_bot()

    app.command(worker, group=group)
    app.command(bot, group=group)
