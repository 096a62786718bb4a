"""The run's page in the Temporal UI: Markdown for somebody who has never seen it before."""

from holdfast.domain.gates import Gate, outcome_of
from holdfast.domain.view import RunView, StageView, VerdictView


def details(view: RunView) -> str:
    """Render the view as the Markdown that the Temporal UI shows as current details.

    The UI cuts the last line off, so the text ends with a line that nobody needs.
    """
    parts = [
        f"## {view.state.upper()}: {view.headline}",
        *(_gate(view.gate, view.run_id) if view.gate else []),
        _plan(view),
        *(_verdict(view.verdict, view.baseline) if view.verdict else []),
        *_journal(view),
        *_decided(view),
        "### Timeline\n" + "\n".join(f"- {line.at:%H:%M:%S} {line.text}" for line in reversed(view.log)),
        "—\n\n&nbsp;",
    ]
    return "\n\n".join(parts)


def _gate(gate: Gate, run_id: str) -> list[str]:
    waiting = f"{gate.missing} of {gate.quorum}" if gate.quorum > 1 else "one"
    return [
        f"### Your decision is asked\n{gate.question}",
        (
            f"- **{gate.approve_label}**: {gate.if_approved}\n"
            f"- **{gate.reject_label}**: {gate.if_rejected}\n"
            f"- **Nothing done**: {gate.if_nothing}\n"
            f"- Who may answer: {', '.join(gate.approvers)} (waits for {waiting})"
        ),
        (
            "**How:** More Actions → *Send an Update* → `decide`, paste, put your name after `by`, submit. "
            'To refuse write `"decision": "reject"`.'
        ),
        f"```json\n{gate.example()}\n```",
        (
            f"On a command line: `holdfast approve {run_id} --as YOUR-NAME`. While no worker is up, "
            "*Send a Signal* → `decide` with the same JSON is kept until one is."
        ),
    ]


def _plan(view: RunView) -> str:
    rows = [f"| {s.state.mark} | {s.title} | `{s.change}` | {_standing(s)} |" for s in view.stages]
    head = (
        f"### {view.title}\nRunbook `{view.runbook}` ({view.digest or 'not read yet'}), pace `{view.pace}`, "
        f"started by {view.requested_by} at {view.started_at:%Y-%m-%d %H:%M:%S} UTC"
    )
    return "\n".join([head, "", "| | stage | change | state |", "|---|---|---|---|", *rows])


def _standing(stage: StageView) -> str:
    return f"{stage.state}, {stage.share_percent} %" if stage.share_percent else str(stage.state)


def _verdict(verdict: VerdictView, baseline: str) -> list[str]:
    rows = [f"| {x.metric} | {x.value} | {x.baseline} | {x.used} | {x.level} |" for x in verdict.lines]
    head = (
        f"### Newest verdict: {verdict.outcome}, risk {verdict.risk} at {verdict.share_percent} %\n"
        f"{verdict.reason} (taken at {verdict.at:%H:%M:%S} UTC; baseline: {baseline})"
    )
    table = ["| metric | canary | baseline | of what is allowed | level |", "|---|---|---|---|---|", *rows]
    return ["\n".join([head, "", *table])]


def _journal(view: RunView) -> list[str]:
    if not view.journal:
        return []
    rows = [f"- {e.effect.title}: {e.status} {e.note}".rstrip() for e in view.journal]
    return ["### What was changed\n" + "\n".join(rows)]


def _decided(view: RunView) -> list[str]:
    if not view.closed_gates:
        return []
    return ["### Decisions\n" + "\n".join(f"- {outcome_of(gate)}" for gate in view.closed_gates)]
