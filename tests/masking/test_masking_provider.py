"""A change provider that tells secrets wherever it can, behind the mask."""

import traceback
from typing import Any, NoReturn

import pytest

from holdfast.adapters.masking import HIDDEN, Mask, MaskingProvider
from holdfast.domain.errors import (
    ChangeConflict,
    ChangeFailed,
    HoldfastError,
    InvalidInput,
    MetricsUnavailable,
    Unavailable,
    UnknownName,
)
from holdfast.domain.journal import Effect, TargetState, Write
from holdfast.ports.changes import Progress

SECRET = "s3cret-token"
EFFECT = Effect(key="r/s/x", stage="s", kind="k", endpoint="bot", part="all", values={}, title="t")
WRITE = Write(effect=EFFECT, source={"a": 1}, goal={"a": 2})


class Chatty:
    """Says what it is given to say; raises it if that is an error."""

    def __init__(self, says: Any) -> None:
        self.says = says

    async def read(self, endpoint: str, part: str) -> TargetState:
        return self._said()

    async def foresee(self, effect: Effect, state: TargetState) -> dict[str, Any]:
        return self._said()

    async def write(self, write: Write, progress: Progress) -> TargetState:
        assert progress.repeated
        assert progress.called_off
        progress.keep({"url": f"https://x?token={SECRET}", "before": progress.memory["kept"]})
        return self._said()

    def _said(self) -> Any:
        if isinstance(self.says, Exception):
            _fail(self.says)
        return self.says


def _fail(error: Exception) -> NoReturn:
    raise error from ValueError(f"the cause knows {SECRET}")


class Told:
    memory: dict[str, str]
    repeated = True
    called_off = True

    def __init__(self) -> None:
        self.memory = {"kept": "earlier"}

    def keep(self, memory: dict[str, str]) -> None:
        self.memory = memory


def masked(says: Any) -> MaskingProvider:
    mask = Mask()
    mask.add(SECRET)
    return MaskingProvider(Chatty(says), mask)


@pytest.mark.parametrize(
    "error",
    [
        ChangeConflict(f"a {SECRET}"),
        ChangeFailed(f"a {SECRET}"),
        InvalidInput(f"a {SECRET}"),
        UnknownName("token", SECRET, [SECRET, "b"]),
        Unavailable(f"a {SECRET}", retry_after_seconds=7.5),
        MetricsUnavailable(f"a {SECRET}"),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("method", ["read", "foresee", "write"])
async def test_an_error_keeps_its_class_and_loses_its_secret_and_its_cause(
    error: HoldfastError, method: str
) -> None:
    calls = {
        "read": lambda p: p.read("bot", "all"),
        "foresee": lambda p: p.foresee(EFFECT, TargetState(values={})),
        "write": lambda p: p.write(WRITE, Told()),
    }

    with pytest.raises(HoldfastError) as caught:
        await calls[method](masked(error))

    assert type(caught.value) is type(error)
    assert str(caught.value) == str(error).replace(SECRET, HIDDEN)
    assert getattr(caught.value, "retry_after_seconds", None) == getattr(error, "retry_after_seconds", None)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


async def test_a_mistake_of_ours_that_tells_a_secret_is_told_without_it() -> None:
    with pytest.raises(RuntimeError) as caught:
        await masked(KeyError(SECRET)).read("bot", "all")

    assert str(caught.value) == f"KeyError: '{HIDDEN}'"
    assert SECRET not in "".join(traceback.format_exception(caught.value))


async def test_a_mistake_of_ours_without_a_secret_keeps_its_traceback() -> None:
    mask = Mask()
    mask.add("another-secret")

    with pytest.raises(KeyError) as caught:
        await MaskingProvider(Chatty(KeyError("a")), mask).read("bot", "all")

    assert "_fail" in "".join(traceback.format_exception(caught.value))


async def test_states_are_masked_and_what_is_not_a_text_stays() -> None:
    state = TargetState(version=3, values={"a": [SECRET, 5]}, unsettled="r/s/x", doubt=f"said {SECRET}")

    assert await masked(state).read("bot", "all") == TargetState(
        version=3, values={"a": [HIDDEN, 5]}, unsettled="r/s/x", doubt=f"said {HIDDEN}"
    )
    assert (await masked(state).write(WRITE, Told())).values == {"a": [HIDDEN, 5]}


async def test_what_is_kept_for_the_next_attempt_is_masked_and_what_was_kept_is_given() -> None:
    told = Told()

    await masked(TargetState(values={})).write(WRITE, told)

    assert told.memory == {"url": f"https://x?token={HIDDEN}", "before": "earlier"}


@pytest.mark.parametrize(("before", "after"), [({"a": SECRET}, {"a": 1}), ({"a": 1}, {"a": {"b": [SECRET]}})])
async def test_a_state_with_a_secret_is_refused_before_anything_is_changed(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    provider = masked(TargetState(values=before))
    read = await provider.read("bot", "all")

    with pytest.raises(InvalidInput, match=r"bot/all: the state's field 'a' holds a secret") as caught:
        await masked(after).foresee(EFFECT, read)

    assert SECRET not in str(caught.value)


async def test_a_masked_state_is_never_written_to_a_system() -> None:
    write = WRITE.model_copy(update={"goal": {"a": f"x {HIDDEN}"}})

    with pytest.raises(InvalidInput, match="could not be put back"):
        await masked(TargetState(values={})).write(write, Told())
