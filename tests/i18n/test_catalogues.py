"""Everything that people read has a Russian form, and nothing is translated that nobody says.

To look at one part only: `HOLDFAST_CATALOGUES=gates,phrases pytest tests/i18n/test_catalogues.py`.
"""

import ast
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import Formatter

import pytest
from babel.messages.catalog import Message
from temporalio.client import WorkflowExecutionStatus

from holdfast.i18n.catalogue import PHRASE, files_of, read
from holdfast.i18n.phrases import Phrase

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src" / "holdfast"
SPEAKING_FOLDERS = (SOURCES / "apps" / "bot", SOURCES / "adapters" / "telegram")
ON_RECORD = "AUDIT"  # such constants go into the audit log, which has one language
FILES = [f for f in files_of("ru") if f.stem in os.environ.get("HOLDFAST_CATALOGUES", f.stem).split(",")]
CHOSEN = os.environ.get("HOLDFAST_CATALOGUES")
FORMS = 3  # one, few, many


@dataclass(frozen=True)
class Said:
    """A text that is shown, where it stands, and its plural if it has one."""

    text: str
    place: str
    many: str = ""


def placed(path: Path, node: ast.expr) -> str:
    return f"{path.relative_to(ROOT)}:{node.lineno}"


def sources() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(SOURCES.rglob("*.py")):
        if "sim" not in path.parts:
            yield path, ast.parse(path.read_text())


def in_chats(path: Path) -> bool:
    return any(folder in path.parents for folder in SPEAKING_FOLDERS)


def is_texts(path: Path) -> bool:
    # What clients read is put together in the domain, and in the reports.
    speaks = in_chats(path) or path.parent in {SOURCES / "domain", SOURCES / "adapters" / "reports"}
    return speaks and (path.stem == "texts" or path.stem.endswith("_texts"))


def has_words(text: str) -> bool:
    """Whether there is anything to translate: marks, emoji and placeholders have one form in all languages."""
    plain = re.sub(r"<[^>]*>", "", "".join(literal for literal, *_ in Formatter().parse(text)))
    return any(map(str.isalpha, plain))


def constants(path: Path, tree: ast.Module) -> Iterator[Said]:
    """Yield the strings that a module of texts gives names to, in tuples and tables as well."""
    for statement in tree.body:
        match statement:
            case (
                ast.Assign(targets=[target], value=value)
                | ast.AnnAssign(target=target, value=ast.expr() as value)
            ):
                named = [n.id for n in ast.walk(target) if isinstance(n, ast.Name)]
                if all(name.startswith(("_", ON_RECORD)) for name in named):
                    continue
                keys = {id(k) for d in ast.walk(value) if isinstance(d, ast.Dict) for k in d.keys}
                yield from (
                    Said(node.value, placed(path, node))
                    for node in ast.walk(value)
                    if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in keys
                )
            case _:
                continue


def called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")


def texts_in(node: ast.expr) -> Iterator[ast.Constant]:
    """Yield the literals that an argument may be."""
    match node:
        case ast.Constant(value=str()):
            yield node
        case ast.IfExp(body=body, orelse=orelse):
            yield from texts_in(body)
            yield from texts_in(orelse)
        case _:
            return


def literals(path: Path, tree: ast.Module) -> Iterator[Said]:
    """Yield what is passed straight to `translate` and `plural`, and in the bot to `say` and `fill`."""
    speaking = {"translate", *(("say", "fill") if in_chats(path) else ())}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and called(node) in speaking and node.args:
            yield from (Said(str(found.value), placed(path, found)) for found in texts_in(node.args[0]))
        if isinstance(node, ast.Call) and called(node) in {"plural", "_counted"}:
            match node.args:
                case [ast.Constant(value=str(one)), ast.Constant(value=str(many)), *_]:
                    yield Said(one, placed(path, node), many)
                case _:
                    continue


@cache
def everything_said() -> tuple[Said, ...]:
    found: list[Said] = []
    for path, tree in sources():
        if is_texts(path):
            found += constants(path, tree)
        found += literals(path, tree)
    return tuple(said for said in found if has_words(said.text))


@cache
def messages(path: Path) -> tuple[Message, ...]:
    return tuple(message for message in read(path, "ru") if message.id)


def source_of(message: Message) -> tuple[str, ...]:
    return (message.id,) if isinstance(message.id, str) else tuple(message.id)


def translation_of(message: Message) -> tuple[str, ...]:
    return (message.string,) if isinstance(message.string, str) else tuple(message.string or ())


@cache
def known() -> dict[str, Message]:
    """Return the entries without a context, by each of their source texts."""
    return {
        text: message
        for path in files_of("ru")
        for message in messages(path)
        if not message.context
        for text in source_of(message)
    }


def placeholders(text: str) -> set[str]:
    return {f"{name}:{spec}" for _, name, spec, _ in Formatter().parse(text) if name is not None}


def tags(text: str) -> list[str]:
    return sorted(re.findall(r"</?[a-z][^>]*>", text))


@pytest.mark.skipif(CHOSEN is not None, reason="only some catalogues are looked at")
def test_every_text_that_is_shown_has_a_russian_form() -> None:
    missing = [
        f"{said.place}: {said.text!r}"
        for said in everything_said()
        if said.text not in known() or (said.many and said.many not in known())
    ]

    assert missing == []


def test_texts_of_gates_and_rollbacks_have_a_russian_form() -> None:
    of_gates = [s for s in everything_said() if "gate_texts" in s.place or "rollback_texts" in s.place]

    assert of_gates
    assert [f"{s.place}: {s.text!r}" for s in of_gates if s.text not in known()] == []


@pytest.mark.skipif(CHOSEN is not None, reason="only some catalogues are looked at")
def test_every_sentence_that_runs_make_by_name_is_a_phrase() -> None:
    paths = sorted((SOURCES / "domain").glob("*_phrases.py"))
    phrases = {m.id for file in files_of("ru") for m in messages(file) if m.context == PHRASE}
    found = (said for path in paths for said in constants(path, ast.parse(path.read_text())))
    made = [said for said in found if has_words(said.text)]

    assert made
    missing = [s for s in made if not phrases.intersection((s.text, s.text.removesuffix(".")))]
    assert [f"{said.place}: {said.text!r}" for said in missing] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_translations_keep_placeholders_and_marks(path: Path) -> None:
    wrong = [
        f"{path.name}:{message.lineno}: {form!r}"
        for message in messages(path)
        for form in translation_of(message)
        if placeholders(form) != placeholders(source_of(message)[-1])
        or (message.context != PHRASE and tags(form) != tags(source_of(message)[-1]))
    ]

    assert wrong == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_entry_is_empty_doubtful_or_lacks_a_plural(path: Path) -> None:
    wrong = [
        f"{path.name}:{message.lineno}: {message.id!r}"
        for message in messages(path)
        if message.fuzzy
        or not all(translation_of(message))
        or len(translation_of(message)) != (FORMS if message.pluralizable else 1)
    ]

    assert wrong == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_entry_is_left_over(path: Path) -> None:
    shown = {text for said in everything_said() for text in (said.text, said.many)}
    by_table = {node.value for node in named_in_tables()} | {s.name.lower() for s in WorkflowExecutionStatus}
    left_over = [
        f"{path.name}:{message.lineno}: {message.id!r}"
        for message in messages(path)
        if not message.context and not shown.intersection(source_of(message)) and message.id not in by_table
    ]

    assert left_over == []


def named_in_tables() -> Iterator[ast.Constant]:
    """Yield every other string of the modules that speak: states and kinds are translated by their value."""
    for path, tree in sources():
        if in_chats(path) or path.parent.name in {"domain", "i18n"}:
            yield from (n for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str))


def test_catalogues_do_not_contradict_each_other() -> None:
    seen: dict[tuple[str | None, tuple[str, ...]], tuple[str, tuple[str, ...]]] = {}
    contradictions: list[str] = []
    for path in files_of("ru"):
        for message in messages(path):
            key = (message.context, source_of(message))
            name, said = seen.setdefault(key, (path.name, translation_of(message)))
            if said != translation_of(message):
                contradictions.append(f"{path.name} and {name}: {message.id!r}")

    assert contradictions == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_phrase_is_a_pattern_that_can_be_told_from_others(path: Path) -> None:
    phrases = [message for message in messages(path) if message.context == PHRASE]

    for message in phrases:
        assert isinstance(message.id, str), f"{path.name}:{message.lineno}: a phrase has no plural"
        assert Phrase.of(message.id, "…").weight > 0
