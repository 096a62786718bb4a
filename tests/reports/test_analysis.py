"""Figures of a campaign that was made by hand, so that each is known beforehand."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.adapters.reports.analysis import Material, analyse
from holdfast.adapters.reports.building import report_of
from holdfast.adapters.reports.figures import Analysis
from holdfast.adapters.reports.html import report_html
from holdfast.adapters.reports.looks import Looks
from holdfast.adapters.reports.words import proposal_words, sli
from holdfast.domain.campaign import BreachLine
from holdfast.i18n import speaking
from holdfast.ports.campaigns import KeptCampaign
from holdfast.slo.status import BurnReading, KpiStatus, Level, Moment, SloStatus
from tests.reports.made import BROKEN, CLOSES, LASTS, MINUTE, OPENS, campaign_view, kept, look, material, view


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return analyse(material())


def rules(analysis: Analysis) -> set[str]:
    return {proposal.rule for proposal in analysis.proposals}


def test_a_promise_is_judged_by_what_was_counted_within_the_window(analysis):
    slo = analysis.slos[0]

    # From the first look (1,000 events) to the last (180,000), 30 × 100 of them bad.
    assert (slo.basis, slo.events, slo.bad_events) == ("counted", 179_000, 3_000)
    assert slo.sli_percent == pytest.approx(100 * (1 - 3000 / 179_000))
    assert slo.kept is False
    # 1 of 1,000 of these events may fail, and 16.8 did.
    assert slo.budget_used_percent == pytest.approx(100 * 3000 / 179)
    assert slo.budget_left_percent == pytest.approx(100 - 100 * 3000 / 179)
    assert slo.period_left_percent == pytest.approx(-200)
    assert (slo.worst_burn, slo.breach_minutes) == (pytest.approx(100), 30)
    assert slo.worst_at == OPENS + BROKEN.start * MINUTE


def test_a_promise_that_nobody_measured_says_so(analysis):
    orders = next(slo for slo in analysis.slos if slo.slo == "orders")

    assert (orders.kept, orders.sli_percent, orders.looks) == (None, None, 0)
    assert "not_measured" in rules(analysis)


def test_where_events_roll_the_share_comes_from_the_burn_rates():
    def rolling(minute: int) -> Moment:
        moment = look(minute)
        for slo in moment.slos:
            slo.events, slo.bad_events = 1_000_000.0 - minute, 50.0
        return moment

    slo = analyse(material(looks=Looks(rolling(m) for m in range(LASTS)))).slos[0]

    # 30 of 180 minutes at 10 % bad.
    assert (slo.basis, slo.events) == ("burn", None)
    assert slo.sli_percent == pytest.approx(100 - 10 * 30 / 180)


def test_kpis_have_the_percentiles_of_the_looks_and_their_worst_moment(analysis):
    latency = next(kpi for kpi in analysis.kpis if (kpi.context, kpi.name) == ("support", "latency"))
    throughput = next(kpi for kpi in analysis.kpis if (kpi.context, kpi.name) == ("support", "throughput"))

    assert (latency.p95, latency.worst, latency.deviating_minutes) == (3.1, 3.1, 30)
    assert 0.4 < latency.p50 < 0.5
    assert latency.worst_at == OPENS + BROKEN.start * MINUTE
    assert throughput.worst == pytest.approx(40), "of what is bad when it falls, the lowest"


def test_load_is_compared_with_the_plan_in_sessions(analysis):
    load = analysis.load

    # 2,500 requests of these contexts in 1,000 sessions; at most 78.46 + 10 requests a second came.
    assert (load.requests_a_session, load.contexts) == (2.5, ["support", "account"])
    assert load.peak == pytest.approx(60 + 20 * 12 / 13 + 10)
    assert load.peak_percent == pytest.approx(100 * load.peak / 2.5 / 40)
    assert (load.planned(with_factor=False), load.planned(with_factor=True)) == (100, 150)


def test_without_a_load_test_nobody_knows_what_a_session_is():
    analysis = analyse(material(tests=[]))

    assert (analysis.load.requests_a_session, analysis.load.peak_percent) == (None, None)
    assert analysis.load.peak == pytest.approx(60 + 20 * 12 / 13 + 10)
    assert analysis.comparison is None


def test_the_load_test_is_held_against_what_came(analysis):
    compared = analysis.comparison

    assert (compared.capacity, compared.first_context, compared.resource) == (45, "support", "crm-pool")
    assert (compared.broke_context, compared.broke_at_sessions) == ("support", pytest.approx(29.8, abs=0.1))
    assert "test_too_kind" in rules(analysis)


def test_an_incident_says_how_long_it_was_and_who_had_it_first(analysis):
    [incident] = analysis.incidents

    assert (incident.minutes, incident.owner, incident.acknowledged_minutes) == (30, "anna", 20)
    assert incident.resolution == "pool raised to 40"


def test_an_incident_whose_run_is_gone_is_not_measured():
    [incident] = analyse(material(incidents={})).incidents

    assert (incident.minutes, incident.owner, incident.acknowledged_minutes) == (30, "", None)


def test_gates_say_how_long_they_waited_for_whom(analysis):
    waited = {gate.id: (gate.waited_minutes, gate.by) for gate in analysis.gates}

    expected = {"1-sign-off": (1800, ["boris"]), "2-sign-off": (2040, ["boris"]), "3-sign-off": (None, [])}
    assert waited == expected
    assert analysis.gate_minutes == 1920


def test_tasks_and_roles_say_who_did_them_and_when(analysis):
    assert {task.id: (task.outcome, task.late_minutes) for task in analysis.tasks} == {
        "backup": ("in time", None),
        "contacts": ("late", 30),
        "tell-client.1": ("never", None),
    }
    assert {role.name: role.person for role in analysis.roles} == {"commander": "boris", "operations": ""}


def test_the_resource_that_ran_out_while_customers_waited_comes_first(analysis):
    [found] = analysis.bottlenecks

    assert (found.resource, found.used_percent, found.slow_minutes) == ("crm-pool", pytest.approx(92), 30)
    assert found.well_used_percent < 20
    assert (found.with_kpi, found.kpi_value) == ("latency", pytest.approx(3.1))
    assert found.coefficient is None or found.coefficient > 0.5


def test_former_campaigns_are_compared_by_what_their_runs_kept(analysis):
    [former] = analysis.former

    assert (former.run, former.breaches, former.breach_minutes) == ("campaign-before", 1, 30)
    assert (former.budget_left_percent, former.tests_failed, former.tasks_late) == (-200, 1, 1)


def test_the_timeline_is_in_order_and_has_everything(analysis):
    moments = [event.at for event in analysis.timeline]

    assert moments == sorted(moments)
    wanted = {"test", "asked", "decided", "freeze", "opens", "breach", "recovery", "overdue", "closes", "role"}
    assert {event.kind for event in analysis.timeline} == wanted


def test_each_proposal_carries_the_numbers_that_led_to_it(analysis):
    wanted = {"full_while_slow", "promise_broken", "tighten", "slow_gates", "late_answer", "tasks_missed"}

    assert wanted <= rules(analysis)
    assert all(proposal.numbers for proposal in analysis.proposals)
    full = proposal_words(analysis.proposals[0])
    assert full == "Support: crm-pool was 92 % used while latency was 3.1 s. Raise it before the next campaign."


def test_a_calm_campaign_gets_no_alarming_proposal():
    calm = campaign_view(breaches=[], tasks=[], roles=[], tests=[])
    still = view(campaign=calm, closed_gates=[], gate=None).model_dump(mode="json")
    looks = Looks(look(minute) for minute in range(BROKEN.start))
    analysis = analyse(material(campaign=kept(view=still), looks=looks, tests=[], incidents={}))

    assert rules(analysis) <= {"tighten", "spare", "not_measured"}
    assert "tighten" in rules(analysis)


def test_an_open_window_counts_only_up_to_the_moment():
    lasting = BreachLine(number=1, context="support", began=OPENS + 60 * MINUTE)
    still = view(campaign=campaign_view(breaches=[lasting])).model_dump(mode="json")
    looks = Looks(look(minute) for minute in range(70))
    analysis = analyse(material(campaign=kept(view=still), looks=looks, made_at=OPENS + 70 * MINUTE))

    assert (analysis.ended, analysis.incidents[0].minutes) == (False, 10)
    assert "tighten" not in rules(analysis)
    assert not [event for event in analysis.timeline if event.kind == "closes"]


def test_a_long_silence_between_looks_does_not_count_as_breach():
    looks = Looks([look(60), look(61), look(62), look(89)])

    assert analyse(material(looks=looks)).slos[0].breach_minutes == pytest.approx(1 + 1 + 3 + 1)


def test_what_another_release_wrote_is_left_out_and_not_guessed():
    strange = kept(view={"state": 7}, spec={"kind": "other"}, inventory=[{"no": "line"}])
    analysis = analyse(material(campaign=strange, tests=[], incidents={}))

    assert (analysis.title, analysis.zone, analysis.incidents, analysis.inventory) == (
        "autumn-sale",
        "UTC",
        [],
        [],
    )
    assert analysis.slos[0].sli_percent is not None


def test_a_share_with_failures_is_never_shown_as_all():
    assert sli(99.9999999, 99.9, kept=True) == "99.99 %"
    assert sli(100.0, 99.9, kept=True) == "100 %"
    assert sli(None, 99.9, kept=False) == "not measured"


# --- whatever is kept ----------------------------------------------------------------------------------------

number = st.none() | st.floats(-1e12, 1e12) | st.sampled_from([math.nan, math.inf, -math.inf, 0.0])
level = st.sampled_from(Level)
name = st.sampled_from(["support", "account", "x"])


@st.composite
def moments(draw: st.DrawFn) -> list[Moment]:
    made: list[Moment] = []
    for minute in draw(st.lists(st.integers(0, 400), max_size=12, unique=True).map(sorted)):
        slos = [
            SloStatus(
                context=context,
                slo="ticket-submissions",
                promise="p",
                objective_percent=draw(st.floats(1, 99.9)),
                level=draw(level),
                budget_left_percent=draw(number),
                events=draw(number),
                bad_events=draw(number),
                burn=[
                    BurnReading(long="1h", short="5m", factor=1, severity="page", short_burn=draw(number))
                    for _ in range(draw(st.integers(0, 1)))
                ],
            )
            for context in draw(st.sets(name, max_size=2))
        ]
        kpis = [
            KpiStatus(
                context=context,
                name=draw(st.sampled_from(["latency", "throughput", "crm-pool"])),
                unit=draw(st.sampled_from(["", "s", "/s"])),
                value=draw(number),
                used_percent=draw(number),
                level=draw(level),
            )
            for context in draw(st.lists(name, max_size=3))
        ]
        silent = draw(st.sampled_from(["", "gone"]))
        made.append(Moment(at=OPENS + minute * MINUTE, slos=slos, kpis=kpis, silent=silent))
    return made


texts = st.text(max_size=12)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    seen=moments(),
    breaches=st.lists(st.tuples(st.integers(-50, 500), st.none() | st.integers(0, 60), texts), max_size=3),
    whole=st.booleans(),
    made=st.integers(-100, 900),
    language=st.sampled_from(["en", "ru"]),
)
def test_any_campaign_has_a_report(seen, breaches, whole, made, language):
    lines = [
        BreachLine(
            number=n + 1,
            context="support",
            title=title,
            began=OPENS + begins * MINUTE,
            ended=None if lasts is None else OPENS + (begins + lasts) * MINUTE,
        )
        for n, (begins, lasts, title) in enumerate(breaches)
    ]
    held = kept(view=view(campaign=campaign_view(breaches=lines)).model_dump(mode="json"))
    if not whole:
        held = KeptCampaign(run="r", campaign="c", opens=OPENS, closes=CLOSES)
    analysis = analyse(Material(campaign=held, looks=Looks(seen), made_at=OPENS + made * MINUTE))

    assert all(proposal.numbers for proposal in analysis.proposals)
    assert Analysis.model_validate_json(analysis.model_dump_json()).run == held.run
    with speaking(language):
        assert report_html(analysis).rstrip().endswith("</html>")


def test_a_campaign_of_which_nothing_was_seen_has_a_whole_report():
    bare = KeptCampaign(run="r", campaign="c", opens=OPENS, closes=OPENS + timedelta(days=20))
    report = report_of(
        analyse(Material(campaign=bare, looks=Looks(), made_at=datetime(2027, 2, 1, tzinfo=UTC)))
    )

    assert report.summary == ["Whether the promises were kept was not measured.", "The load was not measured."]
    assert report.png.startswith(b"\x89PNG")
