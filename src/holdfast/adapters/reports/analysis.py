"""From what the store keeps of a campaign to its analysis; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import ValidationError

from holdfast.adapters.reports.bottlenecks import bottlenecks
from holdfast.adapters.reports.figures import Analysis, Comparison, FormerFigures, LoadFigures, PeriodTest
from holdfast.adapters.reports.levels import (
    budget_curves,
    kpi_figures,
    latency_curves,
    load_at,
    load_figures,
    period_budget_curves,
    slo_figures,
)
from holdfast.adapters.reports.looks import Looks
from holdfast.adapters.reports.people import (
    gate_figures,
    incident_figures,
    median_wait,
    role_figures,
    task_figures,
    timeline,
)
from holdfast.adapters.reports.proposals import proposals
from holdfast.domain.campaign import CampaignView, TestLine, TestVerdict
from holdfast.domain.view import RunView
from holdfast.loadgen.result import LoadResult
from holdfast.ports.campaigns import KeptCampaign
from holdfast.ports.inventory import InventoryLine
from holdfast.ports.load import KeptTest
from holdfast.runbook.kinds.campaign import CampaignSpec


@dataclass(frozen=True)
class Material:
    """What an analysis is made of.

    Attributes:
        campaign: with its view, spec and inventory.
        looks: those within the window.
        tests: of this campaign; the newest usable one with its `result`.
        period_tests: those that ran within the SLOs' longest period before the window's end.
        former: other campaigns of the same name or client, with their views.
        incidents: the views of the incidents' runs, by id; those that are missing are "not measured".
        made_at: when the analysis is made.
    """

    campaign: KeptCampaign
    looks: Looks
    made_at: datetime
    tests: Sequence[KeptTest] = ()
    period_tests: Sequence[PeriodTest] = ()
    former: Sequence[KeptCampaign] = ()
    incidents: Mapping[str, RunView] = field(default_factory=dict[str, RunView])


def analyse(material: Material) -> Analysis:
    """Return the analysis; what cannot be read or was not measured is left out of it, never guessed."""
    kept, looks = material.campaign, material.looks
    view, spec = view_of(kept), spec_of(kept)
    campaign = view.campaign if view and view.campaign else CampaignView(opens=kept.opens, closes=kept.closes)
    # The watch goes by the server's clock, from which that of this machine may differ.
    newest = looks.at(len(looks) - 1) if len(looks) else kept.opens
    until = min(max(material.made_at, newest), kept.closes)
    tests = _tests(campaign, material.tests)
    found = newest_result(material.tests)
    kpis, slos = kpi_figures(looks, spec), slo_figures(looks, spec, until)
    load = load_figures(looks, spec, result_of(found) if found else None)
    gates = gate_figures(view) if view else []
    analysis = Analysis(
        run=kept.run,
        campaign=kept.campaign,
        title=spec.title if spec else (view.title if view else kept.campaign),
        client=kept.client or campaign.client,
        zone=spec.client.time_zone if spec else "UTC",
        opens=kept.opens,
        closes=kept.closes,
        made_at=material.made_at,
        ended=until >= kept.closes,
        limits=campaign.limits,
        frozen_from=kept.opens - spec.freeze.before if spec and spec.freeze.before else None,
        looked=len(looks),
        silent=looks.silent,
        slos=slos,
        kpis=kpis,
        bottlenecks=bottlenecks(looks, kpis),
        load=load,
        budgets=budget_curves(looks, slos, kept.opens),
        period_budgets=period_budget_curves(looks, slos),
        latencies=latency_curves(looks, kpis),
        tests=tests,
        period_tests=sorted(material.period_tests, key=lambda test: test.at),
        incidents=incident_figures(campaign, material.incidents, until),
        gates=gates,
        gate_minutes=median_wait(gates),
        roles=role_figures(campaign),
        tasks=task_figures(campaign, material.made_at),
        former=[former_figures(other) for other in material.former],
        inventory=_inventory(kept),
    )
    analysis.comparison = _comparison(analysis, found, load)
    analysis.timeline = timeline(analysis)
    analysis.proposals = proposals(analysis)
    return analysis


def view_of(kept: KeptCampaign) -> RunView | None:
    """Return the kept view; None where there is none, or another release wrote what this one cannot read."""
    try:
        return RunView.model_validate(kept.view) if kept.view else None
    except ValidationError:
        return None


def spec_of(kept: KeptCampaign) -> CampaignSpec | None:
    """Return the pinned file, likewise."""
    try:
        # Written by its names or by those of the file, `from` and `to`: both are read.
        return CampaignSpec.model_validate(kept.spec, by_name=True, by_alias=True) if kept.spec else None
    except ValidationError:
        return None


def result_of(test: KeptTest) -> LoadResult | None:
    """Return what a test came to, likewise."""
    try:
        return LoadResult.model_validate(test.result) if test.result else None
    except ValidationError:
        return None


def is_usable(test: KeptTest) -> bool:
    """Whether the figures of a test mean something."""
    return test.line.verdict in {TestVerdict.PASSED, TestVerdict.FAILED}


def newest_result(tests: Sequence[KeptTest]) -> KeptTest | None:
    """Return the newest test whose figures mean something."""
    return max(filter(is_usable, tests), key=lambda test: test.at, default=None)


def former_figures(kept: KeptCampaign) -> FormerFigures:
    """Return what is compared of a former campaign."""
    figures = FormerFigures(run=kept.run, campaign=kept.campaign, opens=kept.opens, closes=kept.closes)
    view = view_of(kept)
    if view is None or view.campaign is None:
        return figures
    campaign = view.campaign
    incidents = incident_figures(campaign, {}, kept.closes)
    left = [c.budget_left_percent for c in campaign.contexts if c.budget_left_percent is not None]
    tasks = task_figures(campaign, kept.closes)
    known = {
        "breaches": len(incidents),
        "breach_minutes": sum(incident.minutes for incident in incidents),
        "budget_left_percent": min(left, default=None),
        "gate_minutes": median_wait(gate_figures(view)),
        "tests": len(campaign.tests),
        "tests_failed": sum(test.verdict is TestVerdict.FAILED for test in campaign.tests),
        "tasks_late": sum(task.outcome in {"late", "never"} for task in tasks),
    }
    return figures.model_copy(update=known)


def _tests(campaign: CampaignView, kept: Sequence[KeptTest]) -> list[TestLine]:
    """Return the tests that the run lists and those of the store, each once; what the store says counts."""
    lines = {line.run: line for line in campaign.tests} | {test.run: test.line for test in kept}
    return sorted(lines.values(), key=lambda line: line.at)


def _inventory(kept: KeptCampaign) -> list[InventoryLine]:
    lines: list[InventoryLine] = []
    for each in kept.inventory:
        try:
            lines.append(InventoryLine.model_validate(each))
        except ValidationError:
            continue
    return lines


def _comparison(analysis: Analysis, test: KeptTest | None, load: LoadFigures) -> Comparison | None:
    if test is None:
        return None
    result = result_of(test)
    capacity = result.capacity if result else None
    saturation = capacity.saturation if capacity else None
    broke = min(analysis.incidents, key=lambda incident: incident.began, default=None)
    return Comparison(
        run=test.run,
        at=test.at,
        capacity=test.line.capacity,
        at_least=bool(capacity and capacity.at_least),
        first_context=saturation.context if saturation else "",
        resource=saturation.resource if saturation else "",
        peak_sessions=load.peak_sessions,
        broke_context=broke.context if broke else "",
        broke_at_sessions=load_at(load, broke.began) if broke else None,
    )
