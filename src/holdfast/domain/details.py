"""The run's page in the Temporal UI: Markdown for somebody who has never seen it before."""

import json
from collections.abc import Iterator

from holdfast.domain import progress
from holdfast.domain.campaign_details import campaign_details, load_details
from holdfast.domain.decisions import ROLLBACK, Choice, CodeRequest, Extension, Handover, Signed
from holdfast.domain.gates import Gate, outcome_of, who_said
from holdfast.domain.journal import EntryStatus, JournalEntry
from holdfast.domain.rollback import may_be_undone
from holdfast.domain.view import IncidentView, RunView, StageView, VerdictView
from holdfast.domain.words import Act


def details(view: RunView) -> str:
    """Render the view as the Markdown that the Temporal UI shows as current details.

    The UI cuts the last line off, so the text ends with a line that nobody needs.
    """
    parts = [
        f"## {view.state.upper()}: {view.headline}",
        *(_gate(view.gate, view.run_id) if view.gate else []),
        *_of_kind(view),
        *(_verdict(view.verdict, view.baseline, view.run_id) if view.verdict else []),
        *([f"**Exposure** (one request counts as one user): {view.exposure}."] if view.exposure else []),
        *_journal(view),
        *_pause(view),
        *_decided(view),
        "### Timeline\n" + "\n".join(f"- {line.at:%H:%M:%S} {line.text}" for line in reversed(view.log)),
        "—\n\n&nbsp;",
    ]
    return "\n\n".join(parts)


def _of_kind(view: RunView) -> list[str]:
    if view.incident is not None:
        return _incident(view.incident, view)
    if view.campaign is not None:
        return campaign_details(view.campaign, view)
    return load_details(view.load, view) if view.load is not None else [_plan(view)]


def _gate(gate: Gate, run_id: str) -> list[str]:
    return [
        f"### Your decision is asked\n{_question(gate)}",
        *([f"**Asked again because** {gate.again_because}"] if gate.again_because else []),
        "\n".join(f"- **{name}**: {follows}" for name, follows in _answers(gate)),
        "\n".join(f"- {line}" for line in _sign_off(gate)),
        *_settings(gate),
        *_how(gate, run_id),
    ]


def _question(gate: Gate) -> str:
    """Return the question below what it rests on; alone, it is as it was written."""
    return (
        "\n".join([*(f"- {fact}" for fact in gate.facts), "", f"**{gate.question}**"])
        if gate.facts
        else gate.question
    )


def _answers(gate: Gate) -> Iterator[tuple[str, str]]:
    yield from ((gate.label(choice), gate.consequence(choice)) for choice in gate.choices)
    yield "Nothing done", gate.if_nothing


def _sign_off(gate: Gate) -> Iterator[str]:
    yield f"**Sign-off** ({progress.missing(gate)}): {progress.sign_off(gate)}"
    yield from (f"**Approved**: {who_said(decision)}" for decision in gate.approvals)
    yield from progress.stand_ins(gate)
    yield f"**Deadline**: {progress.deadline(gate)}"
    if gate.mfa:
        yield "**Each answer needs a code of your authenticator app**, which the bot asks for first."
    yield progress.freshness(gate)


def _settings(gate: Gate) -> list[str]:
    plain = (" ".join(line.replace("`", "'").split()) for line in progress.settings(gate))
    lines = [f"- `{line}`" for line in plain]
    return ["**What would be set**\n\n" + "\n".join(lines)] if lines else []


def _how(gate: Gate, run_id: str) -> list[str]:
    refusal = CodeRequest(by="your-name", decision=Choice.REJECT, reason="why")
    return [
        (
            "**How to answer on this page**\n\n"
            "**1.** *More Actions* → *Send an Update* → `send_code`. Paste this with your own name, submit:"
        ),
        _json(by="your-name"),
        (
            "The bot sends JSON that is ready to paste to your private chat, to nobody else (or write `/code` "
            f"to the bot). To refuse ask with `{refusal.model_dump_json(exclude_defaults=True)}`"
            f"{_limited_code(gate)}."
        ),
        "**2.** *More Actions* → *Send an Update* → `decide`. Paste the whole JSON from the bot, submit.",
        (
            "**While no worker is up**: *Send a Signal* → `decide` with the same JSON. It is kept until one is "
            "up; what became of it then stands in the timeline below and in your private chat."
        ),
        (
            f"- More time ({', '.join(gate.extenders) or 'nobody'}): update `extend`, "
            f"`{_example(Extension, gate)}`\n"
            f"- Let somebody else answer: update `delegate`, `{_example(Handover, gate)}`\n"
            f"- On a command line: `holdfast gate approve {run_id} --as NAME`"
            f"{_limited_command(gate, run_id)} or `holdfast gate reject {run_id} --as NAME --reason WHY`"
        ),
    ]


def _limited_code(gate: Gate) -> str:
    limit = CodeRequest(by="your-name", decision=Choice.LIMIT).model_dump_json(exclude_defaults=True)
    return f", to go on with limits with `{limit}`" if Choice.LIMIT in gate.choices else ""


def _limited_command(gate: Gate, run_id: str) -> str:
    return f", `holdfast gate limit {run_id} --as NAME`" if Choice.LIMIT in gate.choices else ""


def _json(**fields: str) -> str:
    return f"```json\n{json.dumps(fields)}\n```"


def _example(message: type[Signed], gate: Gate) -> str:
    return json.dumps(json.loads(message.example) | {"gate": gate.id}, ensure_ascii=False)


def _plan(view: RunView) -> str:
    rows = [f"| {s.state.mark} | {s.title} | `{s.change}` | {_standing(s)} |" for s in view.stages]
    head = (
        f"### {view.title}\nRunbook `{view.runbook}` ({view.digest or 'not read yet'}), pace `{view.pace}`, "
        f"started by {view.requested_by} at {view.started_at:%Y-%m-%d %H:%M:%S} UTC"
    )
    return "\n".join([head, "", "| | stage | change | state |", "|---|---|---|---|", *rows])


def _standing(stage: StageView) -> str:
    return f"{stage.state}, {stage.share_percent} %" if stage.share_percent else str(stage.state)


def _verdict(verdict: VerdictView, baseline: str, run_id: str) -> list[str]:
    rows = [f"| {x.metric} | {x.value} | {x.comparison} | {x.used} | {x.level} |" for x in verdict.lines]
    head = (
        f"### Newest verdict: {verdict.said}, risk {verdict.risk} at {verdict.share_percent} %\n"
        f"{verdict.reason} (taken at {verdict.at:%H:%M:%S} UTC; baseline: {baseline})"
    )
    compared = "compared with" if any(x.compared_with for x in verdict.lines) else "baseline"
    table = [f"| metric | canary | {compared} | of what is allowed | level |", "|---|---|---|---|---|", *rows]
    return ["\n".join([head, "", *table]), "\n".join(f"- {line}" for line in _beside(verdict, run_id))]


def _beside(verdict: VerdictView, run_id: str) -> Iterator[str]:
    if verdict.rests_on:
        yield f"This {verdict.rests_on}."
    yield from (f"**Call edge**: {' '.join(words.split())}" for words in verdict.edges)
    if verdict.thresholds:
        yield f"Risk: {verdict.thresholds}."
    yield f"Each number with its query: `holdfast verdict explain {run_id}`"


def _journal(view: RunView) -> list[str]:
    if not view.journal:
        return []
    rows = [f"- {_journalled(e)}" for e in view.journal]
    return ["### What was changed\n" + "\n".join(rows), *_way_back(view)]


def _journalled(entry: JournalEntry) -> str:
    way = entry.back if entry.status is EntryStatus.REVERTED else entry.forth
    return f"**{entry.status}** {way} {entry.note}".rstrip()


def _way_back(view: RunView) -> list[str]:
    if not may_be_undone(view):
        return []
    request = CodeRequest(by="your-name", gate=ROLLBACK).model_dump_json(exclude_defaults=True)
    return [
        (
            f"**To undo it** ({', '.join(view.may_roll_back)}): *Send an Update* → `send_code` with "
            f"`{request}`, then *Send an Update* → `roll_back` with the JSON from the bot. Add a stage's name "
            f"as `to` and that stage stays. On a command line: `holdfast rollback {view.run_id} --as NAME`"
        )
    ]


def _incident(incident: IncidentView, view: RunView) -> list[str]:
    head = (
        f"### {view.title}\nRunbook `{view.runbook}` ({view.digest or 'not read yet'}), "
        f"opened by {view.requested_by} at {view.started_at:%Y-%m-%d %H:%M:%S} UTC"
    )
    return [
        head,
        "\n".join(f"- {line}" for line in _standing_of(incident)),
        *(
            ["### What to look at first\n" + "\n".join(f"- {s.title}" for s in view.stages)]
            if view.stages
            else []
        ),
        *([] if view.state.ended else _how_to_say()),
    ]


def _standing_of(incident: IncidentView) -> Iterator[str]:
    if incident.tier:
        yield f"**Customer**: tier {incident.tier}, order value {incident.value:g}"
    if incident.owner and incident.acknowledged_until:
        yield f"**Has it**: {incident.owner}, until {incident.acknowledged_until:%Y-%m-%d %H:%M:%S} UTC"
    if incident.step:
        yield f"**Called**: step {incident.step} of {incident.steps}, round {incident.round}"
    yield f"**Called so far**: {', '.join(incident.called) or 'nobody'}"
    if incident.next_call:
        whom = f": {', '.join(incident.next_called)}" if incident.next_called else ""
        yield f"**Next call**: {incident.next_call:%Y-%m-%d %H:%M:%S} UTC{whom}"
    if incident.resolution:
        yield f"**Resolved**: {incident.resolution}"
    yield f"**May answer**: {', '.join(incident.may_answer) or 'nobody yet'}"


def _how_to_say() -> list[str]:
    acts: dict[str, dict[str, str]] = {
        "I have it": {"gate": Act.ACKNOWLEDGE},
        "Somebody else takes it": {"gate": Act.HAND_OVER, "to": "their-name"},
        "Note": {"gate": Act.NOTE, "reason": "what is to be noted"},
        "It is over": {"gate": Act.RESOLVE, "reason": "what was wrong and what ended it"},
    }
    return [
        (
            "**How to answer on this page**\n\n"
            "**1.** *More Actions* → *Send an Update* → `send_code`. Paste one of these with your own name:"
        ),
        "\n".join(f"- {name}: `{_asked(asked)}`" for name, asked in acts.items()),
        (
            "**2.** *More Actions* → *Send an Update* → `acknowledge`, `hand_over`, `note` or `resolve`. Paste "
            "the whole JSON from the bot, submit. **While no worker is up**: *Send a Signal* of the same name."
        ),
    ]


def _asked(asked: dict[str, str]) -> str:
    return json.dumps({"by": "your-name"} | asked, ensure_ascii=False)


def _pause(view: RunView) -> list[str]:
    if view.state.ended or not view.may_pause:
        return []
    act = Act.RESUME if view.paused_by else Act.PAUSE
    asked = _asked({"gate": act})
    return [
        (
            f"**To {act} it** ({', '.join(view.may_pause)}): *Send an Update* → `send_code` with `{asked}`, "
            f"then *Send an Update* → `{act}` with the JSON from the bot."
        )
    ]


def _decided(view: RunView) -> list[str]:
    if not view.closed_gates:
        return []
    return ["### Decisions\n" + "\n".join(f"- {outcome_of(gate)}" for gate in view.closed_gates)]
