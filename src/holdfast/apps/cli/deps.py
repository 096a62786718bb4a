from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from holdfast.apps.cli.inventory import InventoryDeps
from holdfast.apps.cli.load import LoadDeps
from holdfast.apps.cli.outbox import OutboxDeps
from holdfast.apps.cli.plan import PlanDeps
from holdfast.apps.cli.records import RecordDeps
from holdfast.apps.cli.report import ReportDeps
from holdfast.apps.cli.schedule import ScheduleDeps
from holdfast.apps.cli.slo import SloDeps
from holdfast.apps.cli.verdicts import VerdictDeps
from holdfast.ports.duty import DutyBook
from holdfast.ports.runs import RunControl
from holdfast.runbook.library import RunbookLibrary


@dataclass(frozen=True)
class CliDeps:
    """What the commands work with; handed in by the composition root and called only when needed.

    Attributes:
        library: the reviewed runbooks and people on this machine.
        run_control: the way to the runs; entered once a command.
        ui_url: where a person looks at a run, by run id.
        start_worker, start_bot, start_web: serve until told to stop.
        records: the audit log and the authenticator apps.
        verdicts: past and present verdicts.
        plan: the systems and metrics that a plan reads.
        duty: lends the covers of those who are on duty.
        outbox: the messages of the bot.
        load: makes load on this machine.
        slo: service levels as code.
        schedule: load tests that begin by themselves.
        report, inventory: what campaigns leave behind.
        start_load: serves load tests, and nothing else, until told to stop.
        default_pace: the pace of runs that are started without naming one.
    """

    library: Callable[[], RunbookLibrary]
    run_control: Callable[[], AbstractAsyncContextManager[RunControl]]
    ui_url: Callable[[str], str]
    start_worker: Callable[[], None]
    start_bot: Callable[[], None]
    start_web: Callable[[], None]
    records: RecordDeps
    verdicts: VerdictDeps
    plan: PlanDeps
    duty: Callable[[], AbstractAsyncContextManager[DutyBook]]
    outbox: OutboxDeps
    load: LoadDeps
    slo: SloDeps
    schedule: ScheduleDeps
    report: ReportDeps
    inventory: InventoryDeps
    start_load: Callable[[], None]
    default_pace: str = "default"
