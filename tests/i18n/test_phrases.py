"""Sentences that runs and rules made are recognised, whatever stands in them, and nothing else is touched."""

import ast
import base64
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.i18n import speaking, translate, understood
from holdfast.i18n.catalogue import catalogue_of, phrasebook_of
from holdfast.i18n.phrases import Phrase, Phrasebook

HISTORIES = sorted((Path(__file__).parents[1] / "replay").rglob("*.json"))
SENTENCES = {"headline", "question", "if_approved", "if_rejected", "if_nothing", "again_because", "note"}
SENTENCES |= {"exposure", "rests_on", "approve_label", "reject_label", "limit_label", "if_limited", "facts"}
# What people wrote in files or typed, names of things, units, and what a stand-in of the tests says.
STAYS = """
    Raise Limit Widen Change All once They belong together hurts not now customers call lead stand in the a at
    it It anna boris vera gleb limit pool keep alive latency error rate database time cpu memory message
    volume revision version state off db ci tool stable canary share percent test run undo all temporal ui UTC
    no return check p JSON gate decision approve by your name code weighted judge seed
    portal answers incident act acknowledge was too small went away The is bot slow hermit policies steps page
    telegram id email people yaml on
    Autumn sale Support support done leads mends Ask for quota Look first Check backup Customers Half of
    announcements wait load holdfast failed sign off ask CRM restarted Mend mend before Orders orders work again
    two stages A customers can order s T Z d b eb tasks fix true
"""
# What a schedule starts is named by a digest and the time: no words.
SCHEDULED = re.compile(r"load-[0-9a-f]{6}-[0-9TZ:-]+")
KEPT = frozenset(STAYS.split())
# Why an incident is over stands there in somebody's own words.
SIGNED_WORDS = re.compile(r"(anna|boris|vera|gleb): ")


def payloads(value: Any) -> Iterator[Any]:
    """Yield whatever a history carries, decoded."""
    if isinstance(value, dict):
        data = value.get("data")
        if isinstance(data, str):
            try:
                yield json.loads(base64.b64decode(data))
            except ValueError:
                return
        else:
            for inner in value.values():
                yield from payloads(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from payloads(inner)


def sentences(value: Any) -> Iterator[str]:
    """Yield what the product itself made to be read."""
    if isinstance(value, list):
        for inner in value:
            yield from sentences(inner)
    if not isinstance(value, dict):
        return
    for name, inner in value.items():
        made = name in SENTENCES
        made |= name == "text" and ({"at", "answer", "kind", "message", "person"} & set(value) != set())
        made |= name == "reason" and "outcome" in value
        made |= name == "settings" and isinstance(inner, list)
        for text in inner if isinstance(inner, list) else [inner]:
            if made and isinstance(text, str) and text and not SIGNED_WORDS.match(text):
                yield text
        yield from sentences(inner)


def stored() -> list[str]:
    found: dict[str, None] = {}
    for path in HISTORIES:
        for payload in payloads(json.loads(path.read_text())):
            found |= dict.fromkeys(sentences(payload))
    return list(found)


def english_left(text: str) -> set[str]:
    return set(re.findall(r"[A-Za-z]+", SCHEDULED.sub("", text))) - KEPT


def test_every_sentence_of_the_stored_histories_is_said_in_russian() -> None:
    found = stored()
    with speaking("ru"):
        said = {text: understood(text) for text in found}

    assert len(found) > 100
    assert [text for text, russian in said.items() if russian == text and english_left(text)] == []
    assert {text: russian for text, russian in said.items() if english_left(russian)} == {}


# --- every sentence that the code can make ------------------------------------------------------------------

ROOT = Path(__file__).parents[2]
# What only those who set a worker up read, or what is put together from other sentences alone.
NOT_FOR_CHATS = {"methods.py"}
# Made of halves; they are among the sentences below.
HALVES = ("Nothingx-1 is changed by this run", "x-1 is not open; the open gate is")
SAYING = [
    *sorted((ROOT / "workflows").glob("*.py")),
    *sorted((ROOT / "activities").glob("*.py")),
    *sorted((ROOT / "src/holdfast/domain").glob("*.py")),
    *sorted((ROOT / "src/holdfast/adapters/temporal").glob("*.py")),
    *(p for p in sorted((ROOT / "src/holdfast/adapters/telegram").glob("*.py")) if p.name not in NOT_FOR_CHATS),
    *(ROOT / "src/holdfast/adapters/sql_store" / name for name in ("second_factor.py", "delegations.py")),
    ROOT / "src/holdfast/runbook/review.py",
]
ERRORS = {
    *("DecisionRefused", "InvalidInput", "ChangeConflict", "ChangeFailed", "Unavailable", "EngineUnavailable"),
    *("ChatUnavailable", "DeliveryUncertain", "Problem", "end"),
}
TOLD = {"headline", "say", "text", "question", "if_approved", "if_rejected", "if_nothing"}
TOLD |= {"approve_label", "reject_label", "limit_label", "if_limited"}
TELLING = {"show", "Question", "DecisionReply", "_board.show"}
SAMPLES = (lambda _: "x-1", lambda _: "7", lambda name: "7" if "percent" in name or "count" in name else "x-1")


def templates(path: Path) -> Iterator[tuple[int, ast.expr]]:
    """Yield each argument that is a whole sentence for people."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        said = list(node.args[-1:]) if name in ERRORS else []
        if name in TELLING:
            said += [keyword.value for keyword in node.keywords if keyword.arg in TOLD]
            said += node.args[1:2] if name == "show" else []
        yield from ((one.lineno, one) for one in said if isinstance(one, ast.Constant | ast.JoinedStr))


def sampled(node: ast.expr, sample: Callable[[str], str]) -> str:
    """Return the sentence with something in each of its places."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    assert isinstance(node, ast.JoinedStr)
    parts: list[str] = []
    for value in node.values:
        if isinstance(value, ast.Constant):
            parts.append(str(value.value))
        elif isinstance(value, ast.FormattedValue):
            date = value.format_spec is not None and "%" in ast.unparse(value.format_spec)
            parts.append("2026-11-21 03:12" if date else sample(ast.unparse(value.value)))
    return "".join(parts)


def is_english(text: str) -> bool:
    return len(re.findall(r"[A-Za-z]{2,}", text.replace("x-1", ""))) > 1


@pytest.mark.parametrize("path", SAYING, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_whatever_the_code_can_say_is_known(path: Path) -> None:
    unknown: list[str] = []
    with speaking("ru"):
        for line, node in templates(path):
            said = [text for sample in SAMPLES if is_english(text := sampled(node, sample))]
            if said and all(understood(text) == text and not text.startswith(HALVES) for text in said):
                unknown.append(f"{path.relative_to(ROOT)}:{line}: {said[0]!r}")
    assert unknown == []


# --- chosen sentences ---------------------------------------------------------------------------------------

KNOWN = {
    "Nothing is changed by this run, so there is nothing to undo.": (
        "Этот запуск ничего не изменил, откатывать нечего."
    ),
    "The gate of that button is not open; the open gate is '2-pool'.": (
        "Вопрос этой кнопки не открыт; открыт «2-pool»."
    ),
    "Gate '1-x' is not open; the open gate is '2-pool'.": "Вопрос «1-x» не открыт; открыт «2-pool».",
    "Rolling back: CRM pool. Stage 'rate' and those before it stay.": (
        "Откатывается: CRM pool. Этап «rate» и все до него остаются."
    ),
    "olga or pavel": "olga или pavel",
    "⏳ 2 of sre-lead: boris; 1 more of vera, gleb · ▫️ cto": (
        "⏳ 2 из sre-lead: boris; ещё 1 из vera, gleb · ▫️ cto"
    ),
    "Open until Mon 23 Nov 2026, 11:00 Europe/Berlin (10:00 UTC); after that it counts as rejected.": (
        "Открыто до пн 23 ноя 2026, 11:00 Europe/Berlin (10:00 UTC); потом это считается отказом."
    ),
    "no verdict at 5 %: the metrics database is silent": "вердикта нет при 5 %: база метрик молчит",
    "unknown gate or run 'x'; known: none": "неизвестно: вопрос или запуск «x»; ничего такого нет",
    "boris for vera (deputy) said reject via web, because: Not now": (
        "boris за vera (заместитель) отклонил(а) через web, причина: Не сейчас"
    ),
    "first line\nNothing is undone.": "first line\nНичего не откатывается.",
    "1 h 5 min": "1 ч 5 мин",
    "rests on 1.20 k requests of the canary, 20 k of the control": (
        "запросов к канарейке: 1.20 k, к контролю: 20 k"
    ),
    "Nothing waits for you.": "Вас ничего не ждёт.",
}
OWN_WORDS = [
    "One of the pods crashed, then everything for customers went wrong.",
    "The board meets on Monday or Tuesday, because of the holidays",
    "limit = 25, pool = 8",
    "limit: 8 → 25",
    "🔧 limit: 8 → 25",
    "Deploy 1.5.0: see https://example.org/a?b=c",
    "rollout-4f7qk2mz",
    "{not} a {template}",
    "",
]


@pytest.mark.parametrize(("english", "russian"), KNOWN.items())
def test_a_sentence_is_said_in_russian(english: str, russian: str) -> None:
    with speaking("ru"):
        assert understood(english) == russian


@pytest.mark.parametrize("text", OWN_WORDS)
def test_what_people_wrote_themselves_stays_as_it_is(text: str) -> None:
    with speaking("ru"):
        assert understood(text) == text


@pytest.mark.parametrize("code", ["en", "en-GB", "de", ""])
def test_english_and_languages_that_are_not_spoken_stay_english(code: str) -> None:
    with speaking(code):
        assert understood("Nothing is undone.") == "Nothing is undone."
        assert translate("Nothing waits for you.") == "Nothing waits for you."


SCRAPS = [
    "gate '",
    "' is ",
    ": ",
    ". ",
    "; ",
    " · ",
    "Recorded.",
    " said approve via ",
    "risk ",
    " at ",
    " %",
    "{",
]
SCRAPS += [
    "}",
    "Undone: ",
    " or ",
    "Stage 'a' and those before it stay.",
    "\n",
    "✅ ",
    "1 h",
    " of ",
    "(",
    ")",
    "'",
]
PIECES = st.sampled_from(SCRAPS)


@given(st.lists(PIECES | st.text(max_size=20), max_size=60).map("".join))
def test_any_text_at_all_is_read_without_an_error(text: str) -> None:
    with speaking("ru"):
        assert isinstance(understood(text), str)


@given(st.lists(PIECES, max_size=40).map("".join))
def test_what_was_understood_is_not_understood_differently_when_it_is_asked_again(text: str) -> None:
    with speaking("ru"):
        assert understood(text) == understood(text)


def test_the_work_for_one_text_is_bounded() -> None:
    book = Counted([Phrase.of("{a}: {b} or {c}", "{a}: {b} или {c}"), Phrase.of("x {d} y", "x {d} y")])
    for text in ("a: b or " * 500, "x a: " * 800, ". a: b or c; " * 300):
        book.asked = 0
        book.understood(text)
        assert 0 < book.asked < 5_000


class Counted(Phrasebook):
    """Counts how often phrases are looked up."""

    def __init__(self, phrases: list[Phrase]) -> None:
        super().__init__(phrases, catalogue_of("ru"))
        self.asked = 0

    def exact(self, text: str) -> Phrase | None:
        self.asked += 1
        return super().exact(text)


def test_a_text_that_is_too_long_stays_as_it_is() -> None:
    text = "Nothing is undone. " * 500
    with speaking("ru"):
        assert understood(text) == text


@pytest.mark.parametrize("template", ["{a}{b} is", "{a}: {b}", ""])
def test_a_pattern_that_fits_everything_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match="cannot be told from other sentences"):
        Phrase.of(template, "…")


def test_the_phrases_are_read_once() -> None:
    assert phrasebook_of("ru") is phrasebook_of("ru")
