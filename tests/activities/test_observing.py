import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from activities.observing import Observer, gathered
from holdfast.domain.errors import InvalidInput, MetricsUnavailable
from holdfast.ports.metrics import Labelled
from holdfast.verdict.observation import EdgeSample, NoData, Observation
from holdfast.verdict.settings import EdgeQueries, Metric, Scoring
from tests.fakes import Answers, MemoryMetrics

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
TEN_SECONDS = timedelta(seconds=10)
SCORING = Scoring(
    metrics={
        "latency": Metric(weight_percent=60, query="latency{$side}[$window]"),
        "load": Metric(weight_percent=40, query=("cpu{$side}", "memory{$side}")),
    }
)
TRAFFIC = SCORING.model_copy(update={"traffic": "requests{$side}[$window]"})
EDGES = EdgeQueries(error_percent="errors{$side}", calls="calls{$side}", service="cart", member_label="pod")
CALM: Answers = {
    "latency{canary}[10s]": 1.5,
    "latency{stable}[10s]": 1,
    "cpu{canary}": 0.3,
    "cpu{stable}": 0.2,
    "memory{canary}": 5,
    "memory{stable}": 4,
    "requests{canary}[10s]": 3,
    "requests{stable}[10s]": 57,
}
DOWN, BOTH, SILENT = NoData.PROVIDER_DOWN, NoData.BOTH_SILENT, NoData.CANARY_SILENT


async def seen(metrics: MemoryMetrics, scoring: Scoring = SCORING, share_percent: int = 5) -> Observation:
    return await Observer(metrics).observe(scoring, share_percent=share_percent, at=NOON, interval=TEN_SECONDS)


def answering(answers: Answers | Exception, vectors: dict[str, list[Labelled]] | None = None) -> MemoryMetrics:
    return MemoryMetrics(NOON, lambda _: answers, vectors)


def edge(caller: str, callee: str, value: float | None, pod: str = "a") -> Labelled:
    return Labelled({"caller": caller, "callee": callee, "pod": pod}, value)


async def edges_seen(
    vectors: dict[str, list[Labelled]], edges: EdgeQueries = EDGES, share_percent: int = 5
) -> list[EdgeSample]:
    scoring = SCORING.model_copy(update={"edges": edges})
    return (await seen(answering(CALM, vectors), scoring, share_percent)).edges


async def test_both_sides_are_asked_everything_once_for_the_same_moment() -> None:
    metrics = answering(CALM)

    observation = await seen(metrics)

    assert observation.values == {"latency": [1.5], "load": [0.3, 5]}
    assert observation.control == {"latency": [1], "load": [0.2, 4]}
    assert sorted(metrics.asked) == sorted((query, 0.0) for query in CALM if not query.startswith("requests"))
    assert (observation.canary_requests, observation.control_requests) == (None, None)
    assert (observation.edges, observation.concurrent, observation.trouble) == ([], [], "")


async def test_where_the_whole_share_is_the_canary_there_is_no_control_to_ask() -> None:
    metrics = answering(CALM)

    observation = await seen(metrics, TRAFFIC, share_percent=100)

    assert observation.values == {"latency": [1.5], "load": [0.3, 5]}
    assert (observation.control, observation.control_requests) == ({}, None)
    assert not [query for query, _ in metrics.asked if "stable" in query]


@pytest.mark.parametrize(
    ("missing", "share_percent", "canary", "control"),
    [
        (("latency{canary}[10s]",), 5, SILENT, {"latency": [1]}),
        (("latency{canary}[10s]", "latency{stable}[10s]"), 5, BOTH, {"latency": [BOTH]}),
        (("latency{stable}[10s]",), 5, 1.5, {"latency": [BOTH]}),
        (("latency{canary}[10s]",), 100, BOTH, {}),
    ],
)
async def test_who_is_silent_is_told_apart(
    missing: tuple[str, ...],
    share_percent: int,
    canary: float | NoData,
    control: dict[str, list[float | NoData]],
) -> None:
    answers = {query: value for query, value in CALM.items() if query not in missing}

    observation = await seen(answering(answers), share_percent=share_percent)

    assert observation.values["latency"] == [canary]
    assert observation.control.get("latency") == control.get("latency")
    assert observation.values["load"] == [0.3, 5]


@pytest.mark.parametrize(
    "failing", ["memory{canary}", "latency{stable}[10s]", "requests{stable}[10s]", "calls{canary}"]
)
async def test_a_provider_that_fails_anywhere_makes_everything_unknown(failing: str) -> None:
    class Failing(MemoryMetrics):
        async def instant(self, query: str, *, at: datetime) -> float | None:
            self._fail(query)
            return await super().instant(query, at=at)

        async def vector(self, query: str, *, at: datetime) -> list[Labelled]:
            self._fail(query)
            return await super().vector(query, at=at)

        def _fail(self, query: str) -> None:
            if query == failing:
                raise MetricsUnavailable("Prometheus is down")

    scoring = TRAFFIC.model_copy(update={"edges": EDGES})
    observation = await seen(Failing(NOON, lambda _: CALM), scoring)

    down = {"latency": [DOWN], "load": [DOWN, DOWN]}
    assert (observation.values, observation.control) == (down, down)
    assert (observation.provider_down, observation.trouble) == (True, "Prometheus is down")
    assert (observation.canary_requests, observation.edges) == (None, [])


async def test_a_query_that_cannot_be_answered_is_an_error() -> None:
    with pytest.raises(InvalidInput, match="refuses"):
        await seen(answering(InvalidInput("Prometheus refuses the query")))


async def test_requests_are_counted_over_the_interval() -> None:
    observation = await seen(answering(CALM), TRAFFIC)

    assert (observation.canary_requests, observation.control_requests) == (30, 570)


async def test_requests_that_nobody_reports_are_unknown() -> None:
    observation = await seen(answering({**CALM, "requests{canary}[10s]": None}), TRAFFIC)

    assert (observation.canary_requests, observation.control_requests) == (None, 570)


async def test_at_the_whole_share_no_request_is_the_controls_even_if_the_query_names_no_side() -> None:
    sideless = SCORING.model_copy(update={"traffic": "requests"})

    observation = await seen(answering({**CALM, "requests": 60}), sideless, share_percent=100)

    assert (observation.canary_requests, observation.control_requests) == (600, None)


async def test_an_edge_has_the_members_of_both_sides_and_their_calls() -> None:
    [calling, called] = await edges_seen(
        {
            "errors{canary}": [edge("web", "cart", 4, "v2"), edge("cart", "redis", 0, "v2")],
            "errors{stable}": [edge("web", "cart", 1, "a"), edge("web", "cart", 2, "b")],
            "calls{canary}": [edge("web", "cart", 3, "v2"), edge("cart", "redis", 6, "v2")],
            "calls{stable}": [edge("web", "cart", 20, "a"), edge("web", "cart", 22, "b")],
        }
    )

    assert called == EdgeSample(
        caller="web",
        callee="cart",
        inbound=True,
        canary=[4],
        control=[1, 2],
        canary_calls=30,
        control_calls=420,
    )
    assert calling == EdgeSample(
        caller="cart", callee="redis", inbound=False, canary=[0], control=[], canary_calls=60, control_calls=0
    )


async def test_edges_of_others_are_none_of_ours() -> None:
    assert await edges_seen({"errors{canary}": [edge("web", "mail", 90)]}) == []


async def test_calls_without_a_ratio_are_a_member_that_called_in_vain() -> None:
    [sample] = await edges_seen(
        {
            "errors{canary}": [edge("cart", "redis", 1, "a"), edge("cart", "redis", None, "b")],
            "calls{canary}": [edge("cart", "redis", 5, pod) for pod in "abc"],
        }
    )

    assert (sample.canary, sample.canary_calls) == ([1, None, None], 150)


async def test_a_member_that_made_no_call_is_silent_whatever_its_ratio_says() -> None:
    [sample] = await edges_seen(
        {
            "errors{canary}": [edge("cart", "redis", None), edge("cart", "redis", 0, "b")],
            "errors{stable}": [edge("cart", "redis", 2)],
            "calls{canary}": [edge("cart", "redis", 0), edge("cart", "redis", 0, "b")],
            "calls{stable}": [edge("cart", "redis", 9)],
        }
    )

    assert (sample.canary, sample.canary_calls) == ([], 0)
    assert (sample.control, sample.control_calls) == ([2], 90)


async def test_an_edge_on_which_nobody_calls_is_left_out() -> None:
    silent = [edge("cart", "redis", 0)]

    assert await edges_seen({"calls{canary}": silent, "calls{stable}": silent}) == []


async def test_where_calls_are_not_measured_they_are_unknown() -> None:
    without_calls = EDGES.model_copy(update={"calls": None})

    [sample] = await edges_seen(
        {"errors{canary}": [edge("web", "cart", None)], "errors{stable}": [edge("web", "cart", 1)]},
        without_calls,
    )

    assert (sample.canary, sample.control) == ([None], [1])
    assert (sample.canary_calls, sample.control_calls) == (None, None)


async def test_a_side_that_is_one_series_needs_no_member() -> None:
    whole = EDGES.model_copy(update={"member_label": None})
    one = Labelled({"caller": "web", "callee": "cart"}, 3)

    [sample] = await edges_seen(
        {"errors{canary}": [one], "calls{canary}": [one], "calls{stable}": [one]}, whole
    )

    assert (sample.canary, sample.control) == ([3], [None])


async def test_a_side_of_one_series_that_made_no_call_is_silent() -> None:
    whole = EDGES.model_copy(update={"member_label": None})
    one, none = ([Labelled({"caller": "web", "callee": "cart"}, calls)] for calls in (3, 0))

    [sample] = await edges_seen(
        {"errors{canary}": none, "calls{canary}": none, "errors{stable}": one, "calls{stable}": one}, whole
    )

    assert (sample.canary, sample.control) == ([], [3])


async def test_calls_of_a_whole_side_go_with_ratios_by_member() -> None:
    calls = [Labelled({"caller": "web", "callee": "cart"}, 4)]
    errors = [edge("web", "cart", 1, "a"), edge("web", "cart", 2, "b")]

    [sample] = await edges_seen({"errors{canary}": errors, "calls{canary}": calls})

    assert (sample.canary, sample.canary_calls) == ([1, 2], 40)


async def test_at_the_whole_share_only_the_canarys_edges_are_seen() -> None:
    both = [edge("web", "cart", 2)]

    [sample] = await edges_seen({"errors{canary}": both, "errors{stable}": both}, share_percent=100)

    assert (sample.canary, sample.control, sample.control_calls) == ([2], [], None)


async def test_several_series_of_one_edge_are_refused_with_the_remedy() -> None:
    twice = [edge("web", "cart", 1), edge("web", "cart", 2)]

    with pytest.raises(InvalidInput, match=r"several series for web → cart: .*sum by \(caller, callee, pod\)"):
        await edges_seen({"errors{canary}": twice})


async def test_other_labels_may_name_the_ends() -> None:
    renamed = EDGES.model_copy(update={"caller_label": "source", "callee_label": "destination"})
    one = Labelled({"source": "web", "destination": "cart", "pod": "a"}, 7)

    [sample] = await edges_seen({"errors{canary}": [one]}, renamed)

    assert (sample.caller, sample.callee, sample.canary) == ("web", "cart", [7])


async def test_no_more_is_asked_at_once_than_is_allowed() -> None:
    running: list[int] = []
    most: list[int] = []

    async def work() -> int:
        running.append(1)
        most.append(len(running))
        await asyncio.sleep(0)
        running.pop()
        return len(most)

    assert len(await gathered([work] * 20, at_once=3)) == 20
    assert max(most) == 3


async def test_the_first_error_ends_the_rest() -> None:
    ended: list[str] = []

    async def fails() -> None:
        raise MetricsUnavailable("down")

    async def hangs() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    with pytest.raises(MetricsUnavailable):
        await gathered([hangs, fails])
    await asyncio.sleep(0)
    assert ended == ["cancelled"]
