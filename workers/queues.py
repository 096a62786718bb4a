"""Workflows and activities as Temporal workers, one task queue for each class of work."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.announcing import AnnouncingActivities
from activities.calling import CallingActivities
from activities.campaigns import CampaignActivities
from activities.changes import ChangeActivities
from activities.checks import CheckActivities
from activities.errands import ErrandActivities
from activities.holding import HoldActivities
from activities.paging import PagingActivities
from activities.planning import PlanActivities
from activities.recalling import RecallActivities
from activities.signing import RecordActivities, SigningActivities
from activities.telling import TellingActivities
from activities.watching import WatchActivities
from activities.window import WindowActivities
from holdfast.adapters.temporal.history import TemporalHistory
from holdfast.adapters.temporal.holds import TemporalHolds
from holdfast.ports.campaigns import CampaignLog
from holdfast.ports.changes import ChangeProvider
from holdfast.ports.chat import Chat
from holdfast.ports.load import LoadLog
from holdfast.ports.metrics import MetricsSource
from holdfast.ports.verdicts import VerdictLog
from holdfast.runbook.library import RunbookLibrary
from workers.load import load_planning, load_watching
from workers.registry import HELPERS, WORKFLOWS, workflow_parts
from workflows.options import CHAT_QUEUE, RECORD_QUEUE, RUNBOOK_QUEUE, WATCH_QUEUE

# A killed worker's runs wait this long for it before another one takes them.
STICKY_TIMEOUT = timedelta(seconds=1)
# The SDK's default is none: every deploy would cancel at once what is under way.
GRACE = timedelta(seconds=10)
# A watch is resumed from its heartbeat by the next worker, so it is not waited for.
WATCH_GRACE = timedelta(seconds=1)
HEARTBEAT_THROTTLE = timedelta(seconds=2)
# Whatever is no workflow itself is shared between runs instead of being loaded again for each, so none of it
# may keep anything: a test looks.
# A run costs 14 ms and 104 KiB so; with its models loaded anew it was 91 ms and 1.3 MiB.
SHARED = ("holdfast", "activities", *workflow_parts())
RUNNER = SandboxedWorkflowRunner(restrictions=SandboxRestrictions.default.with_passthrough_modules(*SHARED))


def run_workers(
    client: Client,
    *,
    library: RunbookLibrary,
    providers: Mapping[str, ChangeProvider],
    metrics: MetricsSource,
    signing: SigningActivities,
    verdicts: Callable[[], VerdictLog | None] = lambda: None,
    campaigns: Callable[[], CampaignLog | None] = lambda: None,
    tests: Callable[[], LoadLog | None] = lambda: None,
    window: WindowActivities | None = None,
) -> list[Worker]:
    """Build the workers that drive runs, change targets and watch them.

    Args:
        client: of the server.
        library: the reviewed files.
        providers: by kind of change.
        metrics: where queries are answered.
        signing: checks what people say.
        verdicts: gives the log of verdicts as soon as the database is open.
        campaigns: gives the log of campaigns likewise.
        tests: gives the log of load tests likewise.
        window: watches windows, where not with these metrics by the server's clock.
    """
    return [
        _driving_worker(client, library, providers, metrics, signing),
        _watching_worker(
            client,
            WatchActivities(metrics, log=verdicts),
            window or WindowActivities(metrics, log=campaigns),
            load_watching(metrics, tests),
        ),
    ]


def _driving_worker(
    client: Client,
    library: RunbookLibrary,
    providers: Mapping[str, ChangeProvider],
    metrics: MetricsSource,
    signing: SigningActivities,
) -> Worker:
    """Build the worker of the workflows themselves, and of what they do between waits."""
    planning, changes = PlanActivities(library), ChangeActivities(providers)
    holding = HoldActivities(TemporalHolds(client, task_queue=RUNBOOK_QUEUE))
    return Worker(
        client,
        task_queue=RUNBOOK_QUEUE,
        workflows=[*WORKFLOWS.values(), *HELPERS],
        activities=[
            planning.load_plan,
            planning.plan_incident,
            planning.plan_campaign,
            *load_planning(client, library),
            CheckActivities(providers, metrics).check_stage,
            changes.plan_effect,
            changes.apply_effect,
            changes.revert_effect,
            changes.verify_rollback,
            RecallActivities(TemporalHistory(client)).recall_run,
            holding.claim_systems,
            holding.release_systems,
            signing.check_signalled,
            signing.before_acting,
        ],
        workflow_runner=RUNNER,
        # A change that is called off learns it with its next heartbeat.
        max_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
        default_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
        sticky_queue_schedule_to_start_timeout=STICKY_TIMEOUT,
        graceful_shutdown_timeout=GRACE,
    )


def _watching_worker(
    client: Client,
    watching: WatchActivities,
    window: WindowActivities,
    of_tests: list[Callable[..., Any]],
) -> Worker:
    """Build the worker of what looks at metrics for hours: shares, windows, load tests."""
    return Worker(
        client,
        task_queue=WATCH_QUEUE,
        activities=[watching.take_baseline, watching.watch_share, window.watch_window, *of_tests],
        max_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
        default_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
        graceful_shutdown_timeout=WATCH_GRACE,
    )


def chat_worker(
    client: Client,
    chat: Chat | None,
    calling: CallingActivities,
    *,
    run_url: Callable[[str], str],
    paging: PagingActivities | None = None,
    errands: ErrandActivities | None = None,
    announcing: AnnouncingActivities | None = None,
) -> Worker:
    """Build the worker that tells and calls people; a chat that is slow or down holds up nothing else.

    Without `paging` it calls nobody to incidents, without `errands` it asks nobody for roles and tasks, and
    without `announcing` it tells no client anything.
    """
    telling = TellingActivities(chat, run_url=run_url)
    calls: list[Callable[..., Any]] = [paging.page_step, paging.retire_pages] if paging else []
    calls += [errands.ask_person] if errands else []
    calls += [(announcing or AnnouncingActivities(None)).tell_client]
    return Worker(
        client,
        task_queue=CHAT_QUEUE,
        activities=[
            telling.publish_card,
            telling.ping_people,
            telling.open_thread,
            *calls,
            calling.call_people,
            calling.retire_notices,
            calling.tell_person,
            calling.send_code,
        ],
        graceful_shutdown_timeout=GRACE,
    )


def record_worker(
    client: Client, records: RecordActivities, campaigns: CampaignActivities | None = None
) -> Worker:
    """Build the worker that puts gates on record; nothing is done on an approval that is not.

    Without `campaigns` it neither knows load tests nor makes reports.
    """
    of_campaigns: list[Callable[..., Any]] = (
        [campaigns.known_tests, campaigns.candidates, campaigns.analyse] if campaigns else []
    )
    return Worker(
        client,
        task_queue=RECORD_QUEUE,
        activities=[records.standing_delegations, records.record_audit, *of_campaigns],
        graceful_shutdown_timeout=GRACE,
    )
