"""What is told from look to look."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from holdfast.slo.status import Level, Moment, SloStatus
from holdfast.slo.tracker import (
    LOOKS_UNTIL_SILENT,
    BreachBegan,
    BreachOver,
    BudgetCrossed,
    News,
    SpeaksAgain,
    Tracker,
    WentSilent,
)
from tests.slo.slo_builders import AT, MINUTE

B, W, K, U = Level.BREACH, Level.WARNING, Level.OK, Level.UNKNOWN
RECOVER = 10 * MINUTE


def status(
    level: Level, *, slo: str = "orders", context: str = "checkout", left: float | None = None
) -> SloStatus:
    return SloStatus(
        context=context,
        slo=slo,
        promise="",
        objective_percent=99.9,
        level=level,
        budget_left_percent=left,
        said=f"it is {level}",
    )


def played(*looks: list[SloStatus] | str, breach_after: int = 1) -> list[News]:
    """Play one look a minute; a text is a look at which the metrics do not answer."""
    tracker, told = Tracker(), []
    for minute, look in enumerate(looks):
        slos, silent = ([status(U)], look) if isinstance(look, str) else (look, "")
        moment = Moment(at=AT + minute * MINUTE, slos=slos, silent=silent)
        # between two looks it travels in a heartbeat
        tracker, news = Tracker.model_validate_json(tracker.model_dump_json()).step(
            moment, breach_after=breach_after, recover_after=RECOVER
        )
        told += news
    return told


def levels(*seen: Level) -> list[list[SloStatus]]:
    return [[status(level)] for level in seen]


def test_a_breach_is_told_once_and_over_after_ten_minutes_of_health() -> None:
    told = played(*levels(K, B, B, B, *[K] * 10, W))

    assert told == [
        BreachBegan(context="checkout", at=AT + MINUTE, slos=["orders"], said=["it is breach"]),
        BreachOver(context="checkout", began=AT + MINUTE, well_since=AT + 4 * MINUTE, at=AT + 14 * MINUTE),
    ]


def test_nine_minutes_of_health_are_not_enough() -> None:
    assert [news.kind for news in played(*levels(B, *[K] * 10))] == ["breach began"]


def test_a_relapse_begins_the_wait_anew_and_is_the_same_breach() -> None:
    told = played(*levels(B, *[K] * 9, B, *[K] * 11))

    assert [news.kind for news in told] == ["breach began", "breach over"]
    assert told[1].at == AT + 21 * MINUTE


def test_a_breach_is_dated_to_the_first_of_the_looks_that_it_needs() -> None:
    told = played(*levels(K, B, B, B), breach_after=3)

    assert [(news.kind, news.at) for news in told] == [("breach began", AT + MINUTE)]


def test_one_good_look_breaks_the_row() -> None:
    assert played(*levels(B, B, K, B, B), breach_after=3) == []


def test_a_look_that_knows_nothing_counts_neither_way() -> None:
    assert [news.kind for news in played(*levels(B, U, B), breach_after=2)] == ["breach began"]


def test_silence_is_no_recovery() -> None:
    told = played(*levels(B, *[K] * 9, U, *[K] * 9))

    assert [news.kind for news in told] == ["breach began"]


def test_another_slo_without_data_does_not_hold_up_the_recovery() -> None:
    pair = [[status(level), status(U, slo="payments")] for level in (B, *[K] * 11)]

    assert [news.kind for news in played(*pair)] == ["breach began", "breach over"]


def test_an_slo_that_broke_holds_it_up_until_it_is_known_to_be_well() -> None:
    looks = [[status(B), status(B, slo="payments")]]
    looks += [[status(K), status(U, slo="payments")] for _ in range(11)]

    assert [news.kind for news in played(*looks)] == ["breach began"]


def test_contexts_have_breaches_of_their_own() -> None:
    told = played([status(B), status(K, context="support")], [status(B), status(B, context="support")])

    assert [(news.kind, news.context) for news in told] == [
        ("breach began", "checkout"),
        ("breach began", "support"),
    ]


def test_metrics_that_do_not_answer_are_told_after_three_looks_and_once_for_all() -> None:
    told = played(*["down"] * 5, *levels(K))

    assert told == [
        WentSilent(since=AT, at=AT + 2 * MINUTE, why="down"),
        SpeaksAgain(silent_since=AT, at=AT + 5 * MINUTE),
    ]


def test_a_restart_of_the_metrics_is_not_worth_a_word() -> None:
    assert played("down", "down", *levels(K)) == []


def test_a_context_that_says_nothing_is_told_by_its_name() -> None:
    looks = [[status(U), status(K, context="support")]] * LOOKS_UNTIL_SILENT

    told = played(*looks, [status(K), status(K, context="support")])

    assert [(news.kind, news.context) for news in told] == [
        ("went silent", "checkout"),
        ("speaks again", "checkout"),
    ]
    assert told[0].why == "it is unknown"


def test_each_mark_of_the_budget_is_told_once_and_only_the_lowest_of_several() -> None:
    told = played(*[[status(K, left=left)] for left in (80, 49, 51, 48, 20, -3, -9)])

    assert [(news.mark_percent, news.left_percent) for news in told] == [(50, 49), (25, 20), (0, -3)]


def test_a_budget_that_recovered_clearly_may_cross_its_mark_again() -> None:
    told = played(*[[status(K, left=left)] for left in (24, 29, 24, 31, 60, 40)])

    assert [news.mark_percent for news in told] == [25, 50]
    again = played(*[[status(K, left=left)] for left in (24, 31, 24)])
    assert [news.mark_percent for news in again] == [25, 25]


LOOKS = st.lists(
    st.one_of(
        st.just("down"),
        st.tuples(st.sampled_from([B, W, K, U]), st.one_of(st.none(), st.floats(-200, 100))).map(
            lambda seen: [status(seen[0], left=seen[1])]
        ),
    ),
    max_size=60,
)


@given(LOOKS, st.integers(1, 4))
def test_beginnings_and_ends_take_turns_whatever_is_seen(looks, breach_after) -> None:
    told = played(*looks, breach_after=breach_after)

    breaches = [news.kind for news in told if news.kind in {"breach began", "breach over"}]
    assert breaches == [("breach began", "breach over")[k % 2] for k in range(len(breaches))]
    for context in ("", "checkout"):
        row = [n.kind for n in told if n.kind in {"went silent", "speaks again"} and n.context == context]
        assert row == [("went silent", "speaks again")[k % 2] for k in range(len(row))]


@given(LOOKS)
def test_a_breach_is_told_exactly_where_enough_looks_saw_it(looks) -> None:
    told = played(*looks)

    seen = any(not isinstance(look, str) and look[0].level is B for look in looks)
    assert any(isinstance(news, BreachBegan) for news in told) == seen
    for over in (news for news in told if isinstance(news, BreachOver)):
        assert over.at - over.well_since >= RECOVER
        assert over.began < over.well_since


@given(LOOKS)
def test_a_mark_is_told_only_at_or_below_it(looks) -> None:
    crossed = [news for news in played(*looks) if isinstance(news, BudgetCrossed)]

    assert all(news.left_percent <= news.mark_percent for news in crossed)
    assert all(news.at - AT < timedelta(hours=1) for news in crossed)
