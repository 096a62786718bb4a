"""The result of a load test in sentences for people, in the language that is spoken."""

from collections.abc import Iterator
from typing import Final

from holdfast.domain.campaign import TestVerdict
from holdfast.i18n import translate
from holdfast.loadgen.result import Broken, Capacity, Flaw, LoadResult, Saturation
from holdfast.runbook.kinds.load import ANY_STEP

_COARSE: Final = 10  # sessions a second; where a context breaks is not known to a tenth of one
_ALL: Final = 100


def verdict_word(verdict: TestVerdict) -> str:
    """Return the verdict as one word."""
    match verdict:
        case TestVerdict.PASSED:
            return translate("passed")
        case TestVerdict.FAILED:
            return translate("not passed")
        case TestVerdict.VOID:
            return translate("void")
        case TestVerdict.STOPPED:
            return translate("stopped")
        case TestVerdict.SKIPPED:
            return translate("skipped")


def latency(seconds: float | None) -> str:
    """Write a latency, or a dash: `0.42 ms`, `85 ms`, `1.85 s`."""
    if seconds is None:
        return "–"
    if seconds >= 1:
        return translate("{number} s").format(number=_short(seconds))
    return translate("{number} ms").format(number=_short(seconds * 1000))


def percent(value: float) -> str:
    """Write a share: `0.03 %`, `2.5 %`, `100 %`."""
    return f"{_short(value)} %"


def rate(per_second: float) -> str:
    """Write a rate: `84/s`."""
    return translate("{rate}/s").format(rate=_short(per_second))


def sessions(per_second: float) -> str:
    """Write a rate where requests could be meant as well: `84 sessions/s`."""
    return translate("{rate} sessions/s").format(rate=_short(per_second))


def clock(seconds: float) -> str:
    """Write a moment of the test: `3:20`."""
    return f"{int(seconds // 60)}:{int(seconds % 60):02d}"


def void_words(result: LoadResult) -> str:
    """Say why the figures of a result do not count; empty where they do."""
    return " ".join(map(_flaw, result.flaws))


def broken_words(broken: Broken) -> str:
    """Say which threshold did not hold, since when, and by how much."""
    write = percent if broken.what == "errors_percent" else latency
    who = translate("all requests") if broken.step == ANY_STEP else broken.step
    text = translate("{who}: {what} is {value}, at most {bound} is allowed; since {since}, at {rate}")
    return text.format(
        who=who,
        what=_what(broken.what),
        value=write(broken.value),
        bound=write(broken.bound),
        since=clock(broken.since),
        rate=sessions(broken.rate),
    )


def saturation_words(found: Saturation) -> str:
    """Say which context saturates first, at which rate, and by which resource, as far as it is known."""
    text = (
        translate("{context} saturates first, with it {names}, at {rate} (since {at}): {sign}.")
        if found.together
        else translate("{context} saturates first, at {rate} (since {at}): {sign}.")
    )
    first = text.format(
        context=found.context,
        rate=sessions(round(found.rate) if found.rate >= _COARSE else found.rate),
        at=clock(found.at),
        names=", ".join(found.together),
        sign=_sign(found.sign),
    )
    return f"{first} {_resource(found)}"


def capacity_words(capacity: Capacity) -> str:
    """Say what can be carried, and how much more that is than the plan expects."""
    if capacity.rate is None:
        if capacity.failed:
            return translate("Even the lowest rate of the test was too much.")
        return translate("No stretch of the test was made to its end, so the capacity is not known.")
    text = (
        translate("Everything held up to {rate}; more was not tried.")
        if capacity.at_least
        else translate("Everything held up to {rate}, and not above.")
    )
    said = text.format(rate=sessions(capacity.rate))
    plain, safe = capacity.headroom_percent, capacity.headroom_with_factor_percent
    return said if plain is None or safe is None else f"{said} {_headroom(capacity, plain, safe)}"


def headline(result: LoadResult) -> str:
    """Return the result as one sentence or two."""
    match result.verdict:
        case TestVerdict.VOID:
            return translate("The figures do not count.") + f" {void_words(result)}"
        case TestVerdict.STOPPED:
            text = translate("Stopped after {at}: {why}.")
            return text.format(at=clock(result.offset), why=result.stopped.rstrip("."))
        case TestVerdict.FAILED:
            first = result.broken[0] if result.broken else None
            early = (
                translate("The test was aborted.") if first and first.aborted else translate("The test failed.")
            )
            return f"{early} {broken_words(first)}." if first else early
        case _:
            return translate("Every threshold held.")


def sentences(result: LoadResult) -> list[str]:
    """Return everything that the result says, a sentence or two each, the most important first.

    A threshold that breaks in several stretches is told once, where it broke first.
    """
    said = [headline(result)]
    if result.capacity:
        saturation = result.capacity.saturation
        said.append(saturation_words(saturation) if saturation else translate("No context saturated."))
        said.append(capacity_words(result.capacity))
    firsts: dict[tuple[str, str], Broken] = {}
    for broken in result.broken:
        firsts.setdefault((broken.step, broken.what), broken)
    shown = 1 if result.verdict is TestVerdict.FAILED else 0
    said += [f"{broken_words(broken)}." for broken in list(firsts.values())[shown:]]
    if result.flaws and result.verdict is not TestVerdict.VOID:
        said.append(void_words(result))
    if result.lost:
        text = translate("{lost} of {planned} sessions were made by no generator.")
        said.append(text.format(lost=result.lost, planned=result.planned))
    if result.client != "protocol":
        text = translate("A general client served ({client}): its own limit is lower than the engine's.")
        said.append(text.format(client=result.client))
    return said


def _flaw(flaw: Flaw) -> str:
    match flaw.kind:
        case "late":
            text = translate("The generator was late for {percent} of the requests; at most 1 % may be.")
        case "unsent":
            text = translate(
                "The generator did not send {percent} of the requests; at most 1 % may be missing."
            )
        case "lost":
            text = translate("{percent} of the sessions were made by no generator; at most 1 % may be missing.")
        case "doubled":
            text = translate("{percent} of the sessions were made twice; at most 1 % may be.")
        case "untested":
            text = translate("No request of “{step}” was made, so its threshold was not tested.")
        case "unanswered":
            text = translate("Not one request was answered: is the target up?")
        case "nothing":
            text = translate("No request was made, so nothing is known of the target.")
        case "unknown":
            text = translate("Nobody knows how {percent} of the requests ended; at most 1 % may be like that.")
        case "phase_late":
            text = translate(
                "In “{phase}” {percent} of the requests were not sent on time; at most 1 % may be."
            )
        case _:
            text = translate("No generator reported anything.")
    return text.format(percent=percent(flaw.percent), phase=flaw.phase, step=flaw.step)


def _sign(sign: str) -> str:
    match sign:
        case "throughput":
            return translate("it answers less than it is asked, and its queue grows")
        case "errors":
            return translate("its errors exceed the bound")
        case _:
            return translate("its answers get slow")


def _what(what: str) -> str:
    match what:
        case "maximum":
            return translate("the longest latency")
        case "errors_percent":
            return translate("the share of errors")
        case _:
            return translate("latency {percentile}").format(percentile="p99.9" if what == "p999" else what)


def _headroom(capacity: Capacity, plain: float, safe: float) -> str:
    """Hold what is carried against the plan: its expected peak, and the peak times the safety factor."""
    text = (
        translate("That is {plain} the expected peak of {peak}, {safe} the peak times {factor}.")
        if capacity.safety_factor > 1
        else translate("That is {plain} the expected peak of {peak}.")
    )
    return text.format(
        plain=_against(plain),
        safe=_against(safe),
        peak=rate(capacity.expected_peak or 0),
        factor=f"{capacity.safety_factor:g}",
    )


def _against(percents: float) -> str:
    if not round(percents):
        return translate("exactly")
    text = translate("{percent} above") if percents > 0 else translate("{percent} short of")
    return text.format(percent=f"{abs(percents):.0f} %")


def _resource(found: Saturation) -> str:
    if not found.resource:
        return translate("Which resource ran out is not known: none of those that were measured fits.")
    if found.resource_of:  # another context's, so it is likely at most
        text = translate("Likely: {resource} of {context}")
    else:
        text = (
            translate("What ran out is {resource}") if found.sure == "sure" else translate("Likely: {resource}")
        )
    named = text.format(resource=found.resource, context=found.resource_of)
    return f"{named} ({', '.join(_grounds(found))})."


def _grounds(found: Saturation) -> Iterator[str]:
    if found.utilisation is not None:
        full = round(100 * found.utilisation)
        # What is waited for grows beyond what is bearable; what is used ends where it is full.
        text = translate("{percent} of its limit") if full > _ALL else translate("{percent} in use")
        yield text.format(percent=percent(full))
    if found.correlation is not None:
        yield translate("correlation with the latency {rho}").format(rho=f"{found.correlation:.2f}")


def _short(value: float) -> str:
    """Write three significant digits, and all digits of a larger number."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"  # noqa: PLR2004  three digits
