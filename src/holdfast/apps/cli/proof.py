"""The approval JSON that a person carries from the private chat to a terminal: read, and checked for mix-ups.

Whether its code is good, only the run can tell.
"""

import json
import signal
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from holdfast.apps.cli.output import complain
from holdfast.domain.decisions import CodeRequest, Decision, Extension, Handover, RollBack, Signed, parse
from holdfast.domain.errors import DecisionRefused, InvalidInput
from holdfast.domain.ids import digest_of
from holdfast.domain.words import Word

S = TypeVar("S", bound=Signed)


def at_hand(paste: str) -> str | None:
    """Return what came with the command: from `--paste`, or piped in; None where a person has to be asked.

    Raises:
        InvalidInput: the file cannot be read.
    """
    if paste.lstrip().startswith("{"):
        return paste
    if paste not in {"", "-"}:
        return _file(Path(paste))
    if paste == "" and sys.stdin is not None and sys.stdin.isatty():
        return None
    if paste == "":
        complain("Reading the approval JSON from standard input …")
    return "" if sys.stdin is None else sys.stdin.read()


def from_terminal(say: Callable[[str], None]) -> str:
    """Ask for the JSON and read until it is complete, an empty line follows it, or the input ends."""
    text = ""
    with _interruptible():
        say("Paste the JSON from your private chat, then press Enter:")
        while line := sys.stdin.readline():
            text += line
            ended = bool(text.strip()) and not line.strip()
            if ended or _object(text) is not None or (text.strip() and "{" not in text):
                break
    return text


def proven(model: type[S], text: str, request: CodeRequest, *, evidence: str) -> S:
    """Return what the JSON says, as said on this terminal.

    Args:
        model: what it has to be.
        text: what was pasted; whatever stands before the first brace does not matter.
        request: what the person wants to say; what is empty there is as the JSON has it.
        evidence: digest of what the person saw; empty for the JSON's own.

    Raises:
        InvalidInput: it is not JSON, incomplete, or for something else.
    """
    message = _object(text)
    if message is None:
        raise InvalidInput(
            "that is no complete JSON object: copy everything from '{' to '}'. Where the terminal cuts a "
            "long line off, put it into a file: --paste FILE"
        )
    try:
        said = parse(model, message)
    except DecisionRefused as refusal:
        raise InvalidInput(str(refusal)) from None
    mixed_up = next(_mix_ups(said, request, evidence), None)
    if mixed_up is not None:
        raise InvalidInput(mixed_up)
    said = said.model_copy(update={"channel": "cli", "reason": request.reason or said.reason})
    # The same JSON once more is the same answer once more, also after a broken connection.
    return said.model_copy(update={"id": f"cli-{digest_of(said.model_dump_json(exclude={'id'}))}"})


def _mix_ups(said: Signed, request: CodeRequest, evidence: str) -> Iterator[str]:
    if said.by != request.by:
        yield f"that JSON is for {said.by}, and you said --as {request.by}: each person needs their own"
    if isinstance(said, Word) and said.act != request.gate:
        yield f"that JSON says '{said.act}', and this command says '{request.gate}': have another one sent"
    elif request.gate and said.gate != request.gate:
        yield f"that JSON is for gate '{said.gate}', and this is about gate '{request.gate}'"
    if evidence and said.evidence != evidence:
        yield (
            f"that JSON is for evidence {said.evidence or 'unknown'}, and you looked at {evidence}: look again "
            "with 'holdfast gate show', and ask for a new code"
        )
    yield from _other_action(said, request)
    if not said.code or said.expires_at is None:
        yield "that JSON has no approval code: copy all of it, 'code' and 'expires_at' included"


def _other_action(said: Signed, request: CodeRequest) -> Iterator[str]:
    match said:
        case Decision() if said.decision is not request.decision:
            yield f"that JSON says '{said.decision}'; to say so: holdfast gate {said.decision}"
        case Word() if said.to != request.to:
            yield f"that JSON is about '{said.to}', and you named '{request.to}'"
        case RollBack() if said.to != request.to:
            yield f"that JSON rolls back {_stays(said.to)}, and this is about rolling back {_stays(request.to)}"
        case Handover() if request.to and said.to != request.to:
            yield f"that JSON hands over to {said.to}, and you said --to {request.to}"
        case Extension() | Handover() if request.until is not None and said.until != request.until:
            end = f"{said.until:%Y-%m-%d %H:%M:%S %Z}" if said.until else "for as long as the gate is open"
            yield f"that JSON says until {end}, and you said --until {request.until:%Y-%m-%d %H:%M:%S %Z}"
        case _:
            return


def _stays(to: str) -> str:
    return f"what came after stage '{to}'" if to else "everything"


def _object(text: str) -> dict[str, Any] | None:
    start = text.find("{")
    if start < 0:
        return None
    try:
        message: dict[str, Any]
        message, _ = json.JSONDecoder().raw_decode(text, start)
    except ValueError:
        return None
    return message


def _file(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"--paste: {path} cannot be read: {error}") from None


@contextmanager
def _interruptible() -> Generator[None]:
    """Let Ctrl-C end the reading at once: asyncio's own handler would wait for the loop, which waits here."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
