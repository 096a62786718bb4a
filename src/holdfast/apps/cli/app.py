from collections.abc import Iterable
from importlib.metadata import version
from typing import Annotated

from cyclopts import App, Group, Parameter

from holdfast.apps.cli.campaign_runs import add_campaign_runs
from holdfast.apps.cli.decisions import DecisionCommands
from holdfast.apps.cli.deps import CliDeps
from holdfast.apps.cli.exits import sentences
from holdfast.apps.cli.files import FileCommands
from holdfast.apps.cli.gate_check import add_gate_check
from holdfast.apps.cli.gates import GateCommands
from holdfast.apps.cli.inventory import add_inventory
from holdfast.apps.cli.load import add_load
from holdfast.apps.cli.on_call import OnCallDeps, add_on_call
from holdfast.apps.cli.outbox import add_outbox
from holdfast.apps.cli.plan import add_plan
from holdfast.apps.cli.records import RecordCommands, add_records
from holdfast.apps.cli.report import add_report
from holdfast.apps.cli.rollback import RollbackCommands
from holdfast.apps.cli.runs import RunCommands
from holdfast.apps.cli.schedule import add_schedule
from holdfast.apps.cli.slo import add_slo
from holdfast.apps.cli.tasks import add_tasks
from holdfast.apps.cli.verdicts import add_verdicts

_HELP = """\
Holdfast runs incident runbooks that hold: reviewed YAML files, staged, signed off, undone by journal.

A run belongs to the Temporal server, not to this command: whatever dies, the run goes on from where it was."""

_EXAMPLES = """\
Examples:
  holdfast runbooks                              what can be started
  holdfast run rollout support-surge --as anna   start it
  holdfast show rollout-4f7qk2mz                 what is asked, on what numbers
  holdfast gate list --as boris                  what waits for me
  holdfast approve rollout-4f7qk2mz --as boris   answer the open gate
  holdfast task list --as anna                   my roles and tasks in campaigns
  holdfast verdict explain rollout-4f7qk2mz      why the newest verdict is what it is
  holdfast plan support-surge                    what would change where; changes nothing
  holdfast oncall                                who is on duty, and who is next
  holdfast outbox list                           what waits to be sent, and what is uncertain
  holdfast validate --all                        before a runbook is reviewed
  holdfast gate-check support-surge --as anna    in a pipeline; its exit codes are its own, see its --help

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

_INCIDENT_EXAMPLES = """\
Examples:
  holdfast run incident customer-impact --title 'CRM answers in 20 s' --as anna
  holdfast run incident customer-impact --title 'Order stuck' --tier gold --value 250000 --as anna
  holdfast oncall                       who is called first

In Telegram /incident does the same; /ack, /handover, /note and /resolve go on from there."""

_GATE_EXAMPLES = """\
Examples:
  holdfast gate list --as boris
  holdfast gate show rollout-4f7qk2mz
  holdfast gate approve rollout-4f7qk2mz --as boris
  holdfast gate limit campaign-4f7qk2mz --as boris
  holdfast gate extend rollout-4f7qk2mz --until +7d --as boris
  holdfast gate delegate rollout-4f7qk2mz --to vera --as boris
  holdfast gate code rollout-4f7qk2mz --as boris

Whatever you say to a gate needs the JSON that is sent to your private chat with the bot: it proves who you are.
In the chat itself /gates, /extend and /delegate do the same without it."""

_APPROVE_EXAMPLES = """\
Examples:
  holdfast approve rollout-4f7qk2mz --as boris
  holdfast approve rollout-4f7qk2mz --as boris --gate 1-bot-rate-limit --reason 'seen on the dashboard'
  holdfast approve rollout-4f7qk2mz --as boris --paste code.json
  pbpaste | holdfast approve rollout-4f7qk2mz --as boris --paste -

The JSON that proves who you are is sent to your private chat; paste it when you are asked.
With --paste it is stored while no worker is up, and counted as soon as one is."""

_LIMIT_EXAMPLES = """\
Examples:
  holdfast limit campaign-4f7qk2mz --as boris
  holdfast limit campaign-4f7qk2mz --as boris --paste code.json

Some gates take a third answer: go on, with limits; which ones, the gate says: holdfast gate show RUN.
Where several people approve, one of them who wants limits is enough. A gate that does not offer it says so."""

_REJECT_EXAMPLES = """\
Examples:
  holdfast reject rollout-4f7qk2mz --as boris --reason 'not during the campaign'
  holdfast reject rollout-4f7qk2mz --as boris --paste code.json

The JSON that proves who you are is sent to your private chat; paste it when you are asked.
A rejection needs a reason: others have to know what to change before they ask again."""

_ROLLBACK_EXAMPLES = """\
Examples:
  holdfast rollback rollout-4f7qk2mz --as boris --reason 'tickets pile up'
  holdfast rollback rollout-4f7qk2mz --as boris --to bot-rate-limit
  holdfast rollback rollout-4f7qk2mz --as boris --paste code.json --yes --wait

What would be undone is shown first. The JSON that proves who you are is sent to your private chat.
With --wait the exit code is 0 when the run has rolled back."""

_VALIDATE_EXAMPLES = """\
Examples:
  holdfast validate runbooks/rollout/support-surge.yaml
  holdfast validate --all

Each problem is one line: FILE:LINE: field: what is wrong
Any problem makes the exit code 2."""

_DECISIONS = Group("Decisions", sort_key=2)


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
    _add_runs(app, RunCommands(deps), deps)
    add_gate_check(app, deps)
    _add_gates(app, GateCommands(deps), DecisionCommands(deps))
    app.command(RollbackCommands(deps).rollback, group=_DECISIONS, help_epilogue=_ROLLBACK_EXAMPLES)
    campaigns = Group("Campaigns", sort_key=2)
    add_load(app, deps.load, group=campaigns)
    add_schedule(app, deps.schedule)
    add_slo(app, deps.slo, group="Campaigns")
    add_tasks(app, deps, group=campaigns)
    add_inventory(app, deps.inventory)
    add_report(app, deps.report)
    add_on_call(app, OnCallDeps(library=deps.library, duty=deps.duty))
    add_outbox(app, deps.outbox)
    _add_files(app, FileCommands(deps))
    add_plan(app, deps.plan, group="Files")
    add_verdicts(app, deps.verdicts)
    add_records(app, RecordCommands(deps.records))
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


def _add_runs(app: App, commands: RunCommands, deps: CliDeps) -> None:
    group = Group("Runs", sort_key=1)
    run = App(name="run", help="Start a run.", group=group, help_epilogue=_RUN_EXAMPLES)
    run.command(commands.rollout, help_epilogue=_RUN_EXAMPLES)
    run.command(commands.incident, help_epilogue=_INCIDENT_EXAMPLES)
    add_campaign_runs(run, deps)
    app.command(run)
    app.command(commands.runs, group=group)
    app.command(commands.show, group=group)


def _add_gates(app: App, looking: GateCommands, saying: DecisionCommands) -> None:
    group = _DECISIONS
    gate = App(name="gate", help="See what is asked, and answer.", group=group, help_epilogue=_GATE_EXAMPLES)
    gate.command(looking.waiting, name="list")
    gate.command(looking.show)
    for each in (gate, app):  # `holdfast approve` is short for `holdfast gate approve`
        where = group if each is app else None
        each.command(saying.approve, group=where, help_epilogue=_APPROVE_EXAMPLES)
        each.command(saying.limit, group=where, help_epilogue=_LIMIT_EXAMPLES)
        each.command(saying.reject, group=where, help_epilogue=_REJECT_EXAMPLES)
    gate.command(saying.extend)
    gate.command(saying.delegate)
    gate.command(saying.code)
    app.command(gate)


def _add_files(app: App, commands: FileCommands) -> None:
    group = Group("Files", sort_key=3)
    app.command(commands.validate, group=group, help_epilogue=_VALIDATE_EXAMPLES)
    app.command(commands.runbooks, group=group)
    app.command(commands.people, group=group)
    app.command(commands.schema, group=group)


def _add_roles(app: App, deps: CliDeps) -> None:
    group = Group("Processes", sort_key=4)

    def worker(
        *, load_only: Annotated[bool, Parameter(help="Make load for tests and nothing else.")] = False
    ) -> None:
        """Serve runs until told to stop: workflows, changes, watching, the chat's messages, load tests."""
        (deps.start_load if load_only else deps.start_worker)()

    def bot() -> None:
        """Serve the Telegram bot until told to stop: starts, approvals and questions from the chat."""
        deps.start_bot()

    def web() -> None:
        """Serve the web page for approvers until told to stop."""
        deps.start_web()

    for role in (worker, bot, web):
        app.command(role, group=group)
