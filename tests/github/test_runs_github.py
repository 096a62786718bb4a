"""How titles and states of runs are understood."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.adapters.github.answers import WorkflowRun
from holdfast.adapters.github.archive import version_in
from holdfast.adapters.github.runs import described, has_key, name_of, part_of, status_of
from holdfast.domain.errors import HoldfastError
from holdfast.ports.pipelines import RunStatus

WORDS = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_.", min_size=1, max_size=12)
NAMES = st.from_regex(r"[a-z][a-z0-9_-]{0,12}", fullmatch=True)
KEYS = st.builds("rollout-4f7qk2mz/{}/{}".format, NAMES, NAMES)
PARTS = st.sampled_from(["canary", "stable", "all"])


def titled(title: str, event: str = "workflow_dispatch", **fields: str | None) -> WorkflowRun:
    return WorkflowRun.model_validate(
        {
            "id": 1,
            "event": event,
            "display_title": title,
            "created_at": datetime.now(UTC),
            "html_url": "u",
            **fields,
        }
    )


@given(key=KEYS, part=PARTS, version=WORDS)
def test_the_documented_run_name_tells_part_and_key(key: str, part: str, version: str) -> None:
    run = titled(f"deploy {part} {version} {key}")

    assert has_key(run, key)
    assert part_of(run) == part
    assert name_of(run) == key


@given(key=KEYS, more=NAMES)
def test_a_key_is_not_found_in_a_longer_one(key: str, more: str) -> None:
    assert not has_key(titled(f"deploy canary 1.5.0 {key}/{more}"), key)
    assert not has_key(titled(f"deploy canary 1.5.0 {key}-{more}"), key)
    assert not has_key(titled(f"deploy canary 1.5.0 {key}{more}"), key)
    assert not has_key(titled(f"deploy canary 1.5.0 x{key}"), key)


@pytest.mark.parametrize("title", ["Deploy ({key})", "[{key}] deploy", "deploy {key}, by Holdfast", "{key}."])
def test_a_key_may_stand_between_punctuation(title: str) -> None:
    key = "rollout-4f7qk2mz/fix/shop-ci-canary"
    run = titled(title.format(key=key))

    assert has_key(run, key)
    assert part_of(run) == ""


def test_a_commits_words_are_no_part_and_no_key() -> None:
    run = titled("Keep all of a/b/c stable", event="push")

    assert part_of(run) == ""
    assert name_of(run) == "u"


@pytest.mark.parametrize(
    ("status", "conclusion", "expected"),
    [
        ("queued", None, RunStatus.QUEUED),
        ("waiting", None, RunStatus.QUEUED),
        ("requested", None, RunStatus.QUEUED),
        ("pending", None, RunStatus.QUEUED),
        (None, None, RunStatus.QUEUED),
        ("in_progress", None, RunStatus.RUNNING),
        ("completed", "success", RunStatus.SUCCEEDED),
        ("completed", "cancelled", RunStatus.CANCELLED),
        ("completed", "failure", RunStatus.FAILED),
        ("completed", "timed_out", RunStatus.FAILED),
        ("completed", "action_required", RunStatus.FAILED),
        ("completed", "startup_failure", RunStatus.FAILED),
        ("completed", "skipped", RunStatus.FAILED),
        ("completed", "stale", RunStatus.FAILED),
        ("completed", "neutral", RunStatus.FAILED),
        ("completed", "something that GitHub adds", RunStatus.FAILED),
        ("completed", None, RunStatus.FAILED),
    ],
)
def test_every_state_has_its_meaning_and_its_words(
    status: str | None, conclusion: str | None, expected: RunStatus
) -> None:
    run = titled("deploy", status=status, conclusion=conclusion)

    assert status_of(run) is expected
    silent = {RunStatus.SUCCEEDED, RunStatus.RUNNING}
    assert bool(described(run, [])) == (expected not in silent and status is not None)


@given(st.binary(max_size=200))
def test_bytes_that_are_no_version_are_an_error_of_ours(content: bytes) -> None:
    with pytest.raises(HoldfastError):
        version_in(content, "version.txt")
