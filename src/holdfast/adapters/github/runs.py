"""What a workflow run means: its state, the part and the key in its title, and what people should know."""

import re
from typing import Final

from holdfast.adapters.github.answers import Job, WorkflowRun
from holdfast.ports.pipelines import PipelineRun, RunStatus

DISPATCH: Final = "workflow_dispatch"
SUCCESS: Final = "success"
_COMPLETED: Final = "completed"
_ENDED: Final = {SUCCESS: RunStatus.SUCCEEDED, "cancelled": RunStatus.CANCELLED}
# Why a run has not begun, in GitHub's words and in ours.
_WAITS: Final = {
    "queued": "waits for a runner",
    "waiting": "waits for an approval of its environment at GitHub",
    "pending": "waits for another run of its concurrency group",
    "requested": "was asked for and is not in the queue yet",
}
_ENDS: Final = {
    "failure": "failed",
    "cancelled": "was cancelled",
    "timed_out": "took longer than it may and was stopped",
    "action_required": "needs an approval at GitHub and was not begun",
    "startup_failure": "could not be begun: its workflow file has a mistake",
    "skipped": "was skipped by the conditions of its jobs",
    "stale": "was given up by GitHub",
    "neutral": "ended without a result",
}
# Where a title names several, the first is meant: `run-name` has the part before the version and the key.
_PART: Final = re.compile(r"(?<![\w/.-])(canary|stable|all)(?![\w/.-])")
# `run/stage/step` and what a rollback appends.
_KEY: Final = re.compile(r"(?<![\w/.-])[\w.-]+(?:/[\w.-]+){2,}(?![\w/-])")


def is_over(run: WorkflowRun) -> bool:
    """Whether nothing more will happen, unless somebody runs it again."""
    return run.status == _COMPLETED


def status_of(run: WorkflowRun) -> RunStatus:
    """Return where the run stands."""
    if is_over(run):
        return _ENDED.get(run.conclusion or "", RunStatus.FAILED)
    return RunStatus.RUNNING if run.status == "in_progress" else RunStatus.QUEUED


def as_pipeline_run(run: WorkflowRun, jobs: list[Job] | None = None) -> PipelineRun:
    """Return the run as the port has it; what failed is told where its jobs are known."""
    return PipelineRun(id=str(run.id), status=status_of(run), url=run.html_url, said=described(run, jobs or []))


def described(run: WorkflowRun, jobs: list[Job]) -> str:
    """Say in a few words what people should know; empty where all is well."""
    if not is_over(run):
        return _WAITS.get(run.status or "", "")
    if run.conclusion == SUCCESS:
        return ""
    words = _ENDS.get(run.conclusion or "", f"ended as {run.conclusion or 'nothing'}")
    culprit = next((job for job in jobs if job.conclusion in {"failure", "timed_out"}), None)
    return f"{words}: {_blamed(culprit)}" if culprit else words


def did_something(job: Job) -> bool:
    """Whether any of its steps ran; a job that never got a runner has none that did."""
    return any(step.conclusion not in {None, "skipped"} for step in job.steps)


def has_key(run: WorkflowRun, key: str) -> bool:
    """Whether the title has the key as a word of its own: `…/undo` is another key than `…`."""
    return re.search(rf"(?<![\w/.-]){re.escape(key)}(?![\w/-])", run.display_title) is not None


def part_of(run: WorkflowRun) -> str:
    """Return the part that the title names; empty where it names none.

    Only a dispatched run has its title from `run-name`; others may have a commit's words there.
    """
    found = _PART.search(run.display_title) if run.event == DISPATCH else None
    return found[1] if found else ""


def name_of(run: WorkflowRun) -> str:
    """Return the key in the title, else the run's address."""
    found = _KEY.search(run.display_title) if run.event == DISPATCH else None
    return found[0] if found else run.html_url or str(run.id)


def _blamed(job: Job) -> str:
    step = next((step.name for step in job.steps if step.conclusion in {"failure", "timed_out"}), "")
    return f"job '{job.name}' failed at step '{step}'" if step else f"job '{job.name}' failed"
