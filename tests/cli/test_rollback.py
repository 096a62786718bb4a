import json
import os
import pty
import sys

import pytest

from holdfast.domain.decisions import CodeRequest
from holdfast.domain.errors import EngineUnavailable
from holdfast.domain.journal import Effect, EntryStatus, JournalEntry
from holdfast.domain.view import RunState, StageState, StageView
from tests.cli.conftest import NOW, RUN

STAGES = ("rate", "pool", "queue")


def entry(stage, status=EntryStatus.APPLIED, **changes):
    effect = Effect(
        key=f"{RUN}/{stage}/1",
        stage=stage,
        kind="http_config",
        endpoint="shop",
        part="stable",
        values={},
        title=f"{stage} for everybody",
        lasting=changes.pop("lasting", False),
    )
    return JournalEntry(
        effect=effect, before={"x": 1}, after={"x": 2}, status=status, recorded_at=NOW, **changes
    )


@pytest.fixture
def view(runs):
    """A run that has promoted a stage and is watching the next one."""
    view = runs.views[RUN]
    view.stages = [StageView(name=n, title=f"Stage {n}", change=f"{n} = 25 (now 5)") for n in STAGES]
    view.stages[0].state, view.stages[1].state = StageState.PROMOTED, StageState.CURRENT
    view.journal = [entry("rate"), entry("pool")]
    view.state, view.gate, view.may_roll_back = RunState.WATCHING, None, ["anna", "boris"]
    return view


@pytest.fixture
def code(runs):
    def sent(by="boris", **request):
        return runs.paste_for_rollback(CodeRequest(by=by, **request))

    return sent


@pytest.fixture
def terminal(monkeypatch, runs):
    """A terminal at which a person types, and pastes whatever arrives in the private chat."""
    person, terminal = pty.openpty()
    runs.on_code = lambda text: os.write(person, f"{text}\n".encode())
    with open(terminal, encoding="utf-8") as stdin:  # noqa: PTH123  a file descriptor
        monkeypatch.setattr(sys, "stdin", stdin)
        yield lambda text: os.write(person, text.encode())
    os.close(person)


def test_what_would_be_undone_is_shown_confirmed_and_then_proven(holdfast, runs, view, terminal):
    terminal("yes\n")

    told = holdfast("rollback", RUN, "--as", "Boris", "--reason", "tickets pile up", piped=None)

    assert told.code == 0
    order = [
        "What would be undone, the newest first",
        "Stage pool (pool)",
        "Stage rate (rate)",
        "Roll this back? Type yes to go on:",
        "A code was sent to boris's private chat.",
        "Paste the JSON",
        "Rolling back.",
    ]
    places = [told.out.index(words) for words in order]
    assert places == sorted(places)
    assert "Stage queue" not in told.out
    (request,) = runs.rolled_back
    assert (request.by, request.to, request.reason, request.channel) == ("boris", "", "tickets pile up", "cli")
    assert request.id


def test_a_stage_may_stay(holdfast, runs, view, code):
    told = holdfast(
        "rollback", RUN, "--as", "boris", "--to", "Rate", "--paste", code(to="rate"), "--yes", "--json"
    )

    assert told.code == 0
    document = told.document
    assert (document["undone"], document["stays"], document["to"]) == (["pool"], ["rate"], "rate")
    assert (document["answer"], document["run_id"]) == ("accepted", RUN)
    assert runs.rolled_back[0].to == "rate"
    assert "What stays" in told.err


@pytest.mark.parametrize("typed", ["\n", "no\n", "\x04"])
def test_without_a_yes_nothing_is_done(holdfast, runs, view, terminal, typed):
    terminal(typed)

    told = holdfast("rollback", RUN, "--as", "boris", piped=None)

    assert told.code == 1
    assert told.out.endswith("Nothing was done.\n")
    assert (runs.rolled_back, runs.chats) == ([], {})


def test_where_nobody_can_be_asked_a_yes_is_demanded(holdfast, runs, view, code):
    told = holdfast("rollback", RUN, "--as", "boris", piped=code())

    assert told.code == 2
    assert "say --yes if you mean it" in told.err
    assert runs.rolled_back == []


def test_the_json_may_come_from_a_pipe(holdfast, runs, view, code):
    told = holdfast("rollback", RUN, "--as", "boris", "--yes", piped=code())

    assert told.code == 0
    assert [r.by for r in runs.rolled_back] == ["boris"]


def test_the_same_json_once_more_is_the_same_request(holdfast, runs, view, code):
    text = code()
    for _ in range(2):
        holdfast("rollback", RUN, "--as", "boris", "--yes", "--paste", text)

    first, second = runs.rolled_back
    assert first.id == second.id


def test_an_unknown_stage_lists_the_known_ones(holdfast, runs, view, code):
    told = holdfast("rollback", RUN, "--as", "boris", "--to", "pol", "--yes", "--paste", code(to="pol"))

    assert (told.code, told.err) == (2, "unknown stage 'pol'; known: pool, queue, rate\n")
    assert runs.rolled_back == []


def test_only_a_promoted_stage_may_stay(holdfast, runs, view, code):
    told = holdfast("rollback", RUN, "--as", "boris", "--to", "pool", "--yes", "--paste", code(to="pool"))

    assert told.code == 1
    assert "'pool' is no promoted stage of this run, so it cannot stay. Promoted: rate." in told.err


def test_a_run_that_has_ended_is_undone_by_a_run_of_its_own(holdfast, runs, view):
    view.state = RunState.PROMOTED

    told = holdfast(
        "rollback", RUN, "--as", "boris", "--to", "rate", "--reason", "wrong invoices", "--yes", "--json"
    )

    assert told.code == 0
    ((wanted, run_id),) = runs.undone
    assert (wanted.run, wanted.requested_by, wanted.to) == (RUN, "boris", "rate")
    assert wanted.reason == "wrong invoices"
    assert json.loads(told.out) == {"run_id": run_id, "undoes": RUN, "to": "rate"}
    assert runs.rolled_back == []


def test_who_may_not_roll_back_may_not_undo_an_ended_run(holdfast, runs, view):
    view.state = RunState.PROMOTED
    told = holdfast("rollback", RUN, "--as", "vera", "--yes")
    assert told.code == 1
    assert "'vera' may not roll this run back; anna, boris may." in told.err
    assert runs.undone == []


def test_what_stands_no_longer_is_not_undone_again(holdfast, runs, view, code):
    view.journal = [entry("rate", EntryStatus.REVERTED)]

    told = holdfast("rollback", RUN, "--as", "boris", "--yes", "--paste", code())

    assert told.code == 1
    assert told.err == "Nothing is changed by this run, so there is nothing to undo.\n"
    assert runs.rolled_back == []


def test_what_cannot_be_undone_is_told_before(holdfast, view, code):
    view.journal.append(entry("pool", lasting=True))

    told = holdfast("rollback", RUN, "--as", "boris", "--yes", "--paste", code(), "--json")

    assert told.document["lasting"] == ["pool for everybody"]
    assert "Cannot be undone, and a person is asked there: pool for everybody" in told.err


@pytest.mark.parametrize(
    ("options", "pasted", "sentence"),
    [
        (
            "",
            {"to": "rate"},
            "rolls back what came after stage 'rate', and this is about rolling back everything",
        ),
        ("--to rate", {}, "that JSON rolls back everything, and this is about rolling back what came after"),
        ("", {"by": "anna"}, "that JSON is for anna, and you said --as boris"),
    ],
)
@pytest.mark.usefixtures("view")
def test_a_json_for_another_rollback_is_told_before_it_is_sent(holdfast, runs, options, pasted, sentence):
    text = runs.paste_for_rollback(CodeRequest.model_validate({"by": "boris"} | pasted))

    told = holdfast("rollback", RUN, "--as", "boris", "--yes", *options.split(), "--paste", text)

    assert told.code == 2
    assert sentence in told.err
    assert runs.rolled_back == []


def test_a_json_for_a_gate_rolls_nothing_back(holdfast, runs, view, code):
    text = json.dumps(json.loads(code()) | {"gate": "1-rate"})

    told = holdfast("rollback", RUN, "--as", "boris", "--yes", "--paste", text)

    assert told.code == 2
    assert "that JSON is for gate '1-rate', and this is about gate 'rollback'" in told.err


def test_who_may_not_is_told_who_may_before_anything_is_asked(holdfast, runs, view, terminal):
    told = holdfast("rollback", RUN, "--as", "gleb", "--yes", piped=None)

    assert (told.code, told.err) == (1, "'gleb' may not roll this run back; anna, boris may.\n")
    assert runs.chats == {}


def test_while_no_worker_is_up_a_json_at_hand_is_stored(holdfast, runs, view, code):
    runs.looks_while_down = 100

    told = holdfast("rollback", RUN, "--as", "boris", "--yes", "--paste", code())

    assert told.code == 0
    assert told.out.startswith("What would be undone cannot be shown: the Temporal server does not answer.")
    assert told.out.endswith("Stored. No worker is up.\n")


def test_while_no_worker_is_up_nobody_is_asked_for_a_code(holdfast, runs, view, terminal):
    runs.looks_while_down = 100

    told = holdfast("rollback", RUN, "--as", "boris", piped=None)

    assert (told.code, told.err) == (3, f"{EngineUnavailable('the Temporal server does not answer')}\n")


@pytest.mark.parametrize(("ending", "exit_code"), [(RunState.ROLLED_BACK, 0), (RunState.FAILED, 1)])
@pytest.mark.usefixtures("view")
def test_wait_follows_the_run_and_tells_whether_it_rolled_back(holdfast, runs, code, ending, exit_code):
    def ends(view):
        view.state, view.headline = ending, "done."

    runs.script = [lambda view: None, ends]

    told = holdfast("rollback", RUN, "--as", "boris", "--yes", "--wait", "--paste", code(), "--json")

    assert told.code == exit_code
    assert told.document["state"] == ending


def test_an_empty_input_is_told_how_to_get_a_code(holdfast, view):
    told = holdfast("rollback", RUN, "--as", "boris", "--to", "rate", "--yes", piped="")

    assert told.code == 2
    assert f"holdfast gate code {RUN} --as boris --rollback --to rate" in told.err


def test_gate_code_has_the_json_for_a_rollback_sent(holdfast, runs, view):
    told = holdfast("gate", "code", RUN, "--as", "boris", "--rollback", "--to", "rate")

    (text,) = runs.chats["boris"]
    assert told.code == 0
    assert {k: json.loads(text)[k] for k in ("gate", "to", "by")} == {
        "gate": "rollback",
        "to": "rate",
        "by": "boris",
    }
    assert f"Then: holdfast rollback {RUN} --to rate --as boris --paste FILE" in told.out


@pytest.mark.parametrize("option", [("--reject", "--reason", "x"), ("--until", "+1d"), ("--gate", "1-rate")])
def test_one_code_is_for_one_thing(holdfast, runs, view, option):
    told = holdfast("gate", "code", RUN, "--as", "boris", "--rollback", *option)

    assert told.code == 2
    assert "one code is for one thing" in told.err
    assert runs.chats == {}
