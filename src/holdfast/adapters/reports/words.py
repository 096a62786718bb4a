"""The figures of an analysis as people read them, in the language that is spoken."""

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Final

from holdfast.adapters.reports.figures import Analysis, Event, PeriodTest, Proposal, SloFigures
from holdfast.adapters.reports.proposal_texts import BY_RULE
from holdfast.domain.campaign import Go, TestVerdict
from holdfast.domain.shares import share_said
from holdfast.i18n import times as spoken
from holdfast.i18n import translate, understood
from holdfast.verdict.words import measured_or_dash

DASH: Final = "–"


@dataclass(frozen=True)
class Clock:
    """Tells moments on the client's clock."""

    zone: tzinfo

    def at(self, moment: datetime | None) -> str:
        """Return `2026-12-11 10:05`, or a dash."""
        return DASH if moment is None else f"{moment.astimezone(self.zone):%Y-%m-%d %H:%M}"

    def long(self, moment: datetime) -> str:
        """Return a moment with its weekday and zone."""
        return spoken.moment(moment, self.zone)


def not_measured() -> str:
    """Return the words for what nobody knows."""
    return translate("not measured")


def lasted(minutes: float | None) -> str:
    """Return a span in its largest sensible unit; what is not known is said to be so."""
    if minutes is None:
        return not_measured()
    return translate("none") if minutes <= 0 else spoken.span(timedelta(minutes=minutes))


def figure(value: float | None, unit: str = "") -> str:
    """Return a number with its unit, or that it was not measured."""
    return not_measured() if value is None else measured_or_dash(value, unit)


def percent(value: float | None, decimals: int = 1) -> str:
    """Return percent with so many decimals."""
    return not_measured() if value is None else f"{value:.{decimals}f} %"


def span(duration: timedelta) -> str:
    """Return a duration in its largest sensible unit."""
    return spoken.span(duration)


def sli(value: float | None, objective: float, *, kept: bool) -> str:
    """Return a share of good events in the digits in which the client reads it."""
    return not_measured() if value is None else f"{share_said(value, objective, kept=kept)} %"


def bad_events(slo: SloFigures) -> str:
    """Return how many events were bad, of how many."""
    if slo.events is None or slo.bad_events is None:
        return not_measured()
    return translate("{bad} of {all}").format(bad=_whole(slo.bad_events), all=_whole(slo.events))


def period_tests(analysis: Analysis, clock: Clock) -> str:
    """Say which load tests count in the period's budgets; empty where none does."""
    tests, period = analysis.period_tests, analysis.longest_period
    if not tests or period is None:
        return ""
    text = translate(
        "Load tests within the budgets' period of {span}: {tests}. Their requests count in it wherever they "
        "went to the systems that are measured here: {n} in all."
    )
    named = [f"{clock.at(test.at)} ({_requests(test)})" for test in tests]
    return text.format(span=span(period), tests=", ".join(named), n=_whole(sum(t.requests or 0 for t in tests)))


def _requests(test: PeriodTest) -> str:
    if test.requests is None:
        return not_measured()
    return translate("{n} requests").format(n=_whole(test.requests))


def _whole(number: float) -> str:
    """Write a whole number with narrow spaces between the thousands."""
    return f"{number:,.0f}".replace(",", "\u202f")


def verdict_of(verdict: str) -> str:
    """Return what a load test came to."""
    said = {
        TestVerdict.PASSED: translate("passed"),
        TestVerdict.FAILED: translate("not passed"),
        TestVerdict.VOID: translate("does not count"),
        TestVerdict.STOPPED: translate("stopped"),
        TestVerdict.SKIPPED: translate("skipped"),
    }
    return said.get(TestVerdict(verdict), verdict) if verdict in set(TestVerdict) else verdict


def go_of(go: Go | None) -> str:
    """Return what was decided after a failed test."""
    said = {Go.GO: translate("go"), Go.NO_GO: translate("no-go"), Go.LIMITS: translate("go with limits")}
    return said[go] if go else DASH


def state_of(state: str) -> str:
    """Return how a gate ended."""
    said = {
        "open": translate("open"),
        "approved": translate("approved"),
        "rejected": translate("rejected"),
        "expired": translate("expired"),
        "voided": translate("asked again"),
        "superseded": translate("no longer needed"),
    }
    return said.get(state, state)


def outcome_of(outcome: str) -> str:
    """Return what became of a task."""
    said = {
        "in time": translate("in time"),
        "late": translate("late"),
        "never": translate("never done"),
        "ahead": translate("not due yet"),
    }
    return said.get(outcome, outcome)


def source_of(source: str) -> str:
    """Return where a number of the inventory comes from."""
    said = {"metrics": translate("metrics"), "logs": translate("logs")}
    return said.get(source, "")


def event_words(event: Event) -> str:  # noqa: PLR0911  a table of sentences
    """Return one line of the timeline."""
    about = {name: understood(value) for name, value in event.about.items()}
    match event.kind:
        case "test":
            verdict = verdict_of(event.about["verdict"])
            return _ended(translate("Load test {verdict}").format(verdict=verdict), about["said"])
        case "asked":
            return translate("Asked: {gate}").format(**about)
        case "decided":
            said = translate("Decided: {gate}: {state}").format(
                gate=about["gate"], state=state_of(event.about["state"])
            )
            return f"{said} ({about['by']})" if about["by"] else said
        case "freeze":
            return translate("Rollouts that are not fixes are refused from here on")
        case "opens":
            return _ended(translate("The window opens"), about.get("limits", ""))
        case "closes":
            return translate("The window closes")
        case "breach":
            return _ended(translate("Breach: {context}").format(context=about["context"]), about["said"])
        case "recovery":
            return translate("Well again: {context}").format(**about)
        case "overdue":
            return translate("Task not done by its deadline: {task} ({owner})").format(**about)
        case _:
            return translate("{person} takes the role {role}").format(
                **(dict.fromkeys(("person", "role"), "") | about)
            )


def _ended(said: str, more: str) -> str:
    return f"{said}: {more}" if more else said


def proposal_words(proposal: Proposal) -> str:
    """Return a proposal as one or two sentences, with the numbers that led to it."""
    n, w = proposal.numbers, proposal.words
    said = {name: f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}" for name, value in n.items()}  # noqa: PLR2004
    if "minutes" in n:
        said["span"] = lasted(n["minutes"])
    if "sli" in n:
        objective = n.get("objective", 0.0)
        said["sli"] = sli(n["sli"], objective, kept=proposal.rule != "promise_broken")
        said["objective"] = f"{objective:g} %"
    if "value" in n:
        said["value"] = figure(n["value"], w.get("unit", ""))
    names = {"context": proposal.context, "subject": proposal.subject, **w, **said}
    return translate(BY_RULE[proposal.rule]).format(**names)


def lead(analysis: Analysis) -> list[str]:
    """Return the whole campaign in a few plain sentences, for somebody who reads nothing else."""
    return [sentence for sentence in (_promises(analysis), _breaches(analysis), _load(analysis)) if sentence]


def _promises(analysis: Analysis) -> str:
    judged = [slo for slo in analysis.slos if slo.kept is not None]
    if not judged:
        return translate("Whether the promises were kept was not measured.")
    kept = sum(1 for slo in judged if slo.kept)
    text = translate("{kept} of {all} promises were kept.").format(kept=kept, all=len(judged))
    unknown = len(analysis.slos) - len(judged)
    return f"{text} {translate('Not measured: {n}.').format(n=unknown)}" if unknown else text


def _breaches(analysis: Analysis) -> str:
    if not analysis.incidents:
        return translate("There was no breach.") if analysis.looked else ""
    longest = max(analysis.incidents, key=lambda incident: incident.minutes)
    return translate("Breaches: {n}, {span} in all; the longest was {context}, {longest}.").format(
        n=len(analysis.incidents),
        span=lasted(analysis.breach_minutes),
        context=longest.title,
        longest=lasted(longest.minutes),
    )


def _load(analysis: Analysis) -> str:
    load = analysis.load
    if load.peak is None:
        return translate("The load was not measured.")
    if load.peak_percent is None or load.peak_sessions is None:
        return translate("The load reached {peak} requests a second.").format(peak=f"{load.peak:.3g}")
    return translate("The load reached {percent} % of the expected peak ({peak} sessions a second).").format(
        percent=f"{load.peak_percent:.0f}", peak=f"{load.peak_sessions:.3g}"
    )
