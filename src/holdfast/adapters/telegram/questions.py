"""An open gate in lines: what is asked, what follows, who is waited for, on what evidence."""

from collections.abc import Iterator
from datetime import UTC, tzinfo

from aiogram.utils.formatting import Bold, Text

from holdfast.adapters.telegram import card_texts as texts
from holdfast.adapters.telegram.buttons import label_of
from holdfast.adapters.telegram.layout import marked
from holdfast.adapters.telegram.wording import clip, say
from holdfast.domain import progress
from holdfast.domain.decisions import Choice
from holdfast.domain.gates import Gate, who_said
from holdfast.i18n import understood

_SHORTEST = 100
_MOST_FACTS, _FEWEST_FACTS = 6, 2
_ALL_FACTS_FROM = 300
_MARKS = {Choice.APPROVE: "👍", Choice.LIMIT: "🚧", Choice.REJECT: "👎"}


def question(gate: Gate, limit: int) -> list[Text]:
    """Return what it rests on, what is asked, and what follows from each answer; `limit` is in units a text."""
    return [
        *asked_again(gate, limit),
        *facts(gate, limit),
        Text("❓ ", marked(Bold, clip(understood(gate.question), limit))),
        *(_answer(gate, choice, limit) for choice in gate.choices),
        Text("💤 ", Bold(say(texts.NOBODY_ANSWERS)), " → ", clip(understood(gate.if_nothing), limit)),
    ]


def facts(gate: Gate, limit: int) -> list[Text]:
    """Return what the question rests on; shortened before the question, the last of it left out first."""
    shown = gate.facts if limit >= _ALL_FACTS_FROM else gate.facts[:_FEWEST_FACTS]
    return [Text("▪️ ", clip(understood(fact), max(limit // 2, _SHORTEST))) for fact in shown[:_MOST_FACTS]]


def _answer(gate: Gate, choice: Choice, limit: int) -> Text:
    follows = clip(understood(gate.consequence(choice)), limit)
    return Text(f"{_MARKS[choice]} ", Bold(label_of(gate.label(choice))), " → ", follows)


def asked_again(gate: Gate, limit: int) -> list[Text]:
    """Return why the same is asked another time, if it is."""
    why = gate.again_because
    return [Text(say(texts.ASKED_AGAIN), clip(understood(why), limit))] if why else []


def deadline(gate: Gate, zone: tzinfo = UTC) -> Text:
    """Return until when, and what the deadline means."""
    return Text("⌛ " if gate.overdue else "📅 ", understood(progress.deadline(gate, zone)))


def sign_off(gate: Gate, limit: int) -> Text:
    """Return who has approved, who is waited for, and how many are missing."""
    counted = f" ({understood(progress.missing(gate))})" if gate.needed > 1 else ""
    return Text(clip(understood(progress.sign_off(gate)), max(limit // 2, _SHORTEST)), counted)


def approvals(gate: Gate, limit: int) -> Iterator[Text]:
    """Yield how each approval was given."""
    for decision in gate.approvals:
        yield Text("✍️ ", clip(understood(who_said(decision)), max(limit // 4, _SHORTEST)))


def stand_ins(gate: Gate, zone: tzinfo = UTC) -> Iterator[Text]:
    """Yield who may answer besides."""
    for line in progress.stand_ins(gate, zone):
        yield Text("👥 ", clip(understood(line), 200))


def settings(gate: Gate, rows: int) -> list[Text]:
    """Return what would be set, at most so many lines."""
    lines = progress.settings(gate)
    shown = [Text("🔧 ", clip(understood(line), 120)) for line in lines[:rows]]
    hidden = len(lines) - len(shown)
    return [*shown, Text(say(texts.MORE_SETTINGS, count=hidden))] if shown and hidden else shown


def against(gate: Gate) -> bool:
    """Whether the verdict that the question rests on is against going on."""
    return gate.basis is not None and gate.basis.risk.get("outcome", "continue") != "continue"
