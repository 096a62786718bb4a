import socket
from datetime import timedelta
from typing import Any

import pytest

from holdfast.domain.errors import InvalidInput
from holdfast.loadgen.safety import LOOPBACK, Limits, check_ceilings, check_targets
from holdfast.runbook.kinds.load import LoadSpec


def load(*urls: str, rate: float = 10, lasts: str = "10s") -> LoadSpec:
    targets = {f"t{n}": {"url": url} for n, url in enumerate(urls)}
    steps = [{"name": f"s{n}", "http": {"target": target}} for n, target in enumerate(targets)]
    return LoadSpec.model_validate(
        {
            "kind": "load",
            "name": "some",
            "title": "Some",
            "summary": "Some load.",
            "starters": ["ops"],
            "targets": targets,
            "scenarios": [{"name": "all", "steps": steps}],
            "phases": [{"rate": rate, "for": lasts}],
        }
    )


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8080",
        "http://127.9.9.9",
        "https://[::1]:8443/base",
        "http://localhost:9000",
        "http://LOCALHOST./",
        "http://[::ffff:127.0.0.1]/",
        "http://2130706433/",  # another way to write 127.0.0.1
    ],
)
def test_this_machine_is_allowed_by_default(url: str) -> None:
    check_targets(load(url), LOOPBACK)


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.7",
        "http://0.0.0.0",
        "http://[2001:db8::1]",
        "http://[::ffff:10.0.0.7]",
        "http://shop.example.com",
        "http://localhost.example.com",
        "http://127.0.0.1.example.com",
    ],
)
def test_any_other_host_is_refused_by_default(url: str) -> None:
    with pytest.raises(InvalidInput, match="not on this machine's allow-list"):
        check_targets(load(url), LOOPBACK)


def test_the_refusal_names_target_host_and_remedy() -> None:
    with pytest.raises(InvalidInput) as refused:
        check_targets(load("http://127.0.0.1", "https://shop.example.com/api"), LOOPBACK)
    assert str(refused.value) == (
        "target 't1': host 'shop.example.com' is not on this machine's allow-list "
        "(127.0.0.0/8, ::1, localhost). "
        "If the load is really meant for it, add 'shop.example.com' to HOLDFAST_LOAD_HOSTS."
    )


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("http://shop.example.com", "shop.example.com"),
        ("http://shop.example.com", "Shop.Example.COM"),
        ("http://a.b.example.com", "*.example.com"),
        ("http://10.20.30.40", "10.0.0.0/8"),
        ("http://10.20.30.40", "10.20.30.40"),
        ("http://[2001:db8::7]", "2001:db8::/32"),
    ],
)
def test_names_wildcards_addresses_and_networks_can_be_allowed(url: str, allowed: str) -> None:
    check_targets(load(url), [allowed])


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("http://example.com", "*.example.com"),
        ("http://badexample.com", "*.example.com"),
        ("http://shop.example.com.evil.net", "*.example.com"),
        ("http://11.0.0.1", "10.0.0.0/8"),
        ("http://127.0.0.1", "shop.example.com"),
    ],
)
def test_an_entry_allows_nothing_beside_it(url: str, allowed: str) -> None:
    with pytest.raises(InvalidInput, match="allow-list"):
        check_targets(load(url), [allowed])


@pytest.mark.parametrize(
    "entry", ["http://shop.example.com", "shop.example.com:80", "*", "*.", "10.0.0.0/99", ""]
)
def test_an_entry_that_is_no_host_is_refused_in_words(entry: str) -> None:
    with pytest.raises(InvalidInput, match=r"HOLDFAST_LOAD_HOSTS: .* is no host"):
        check_targets(load("http://127.0.0.1"), ["127.0.0.1", entry])


def test_a_localhost_that_leads_elsewhere_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(*_: Any) -> list[Any]:
        return [(0, 0, 0, "", ("127.0.0.1", 0)), (0, 0, 0, "", ("10.0.0.7", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    with pytest.raises(InvalidInput, match=r"'localhost' leads to 10\.0\.0\.7"):
        check_targets(load("http://localhost"), LOOPBACK)


def test_a_localhost_that_leads_nowhere_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(*_: Any) -> list[Any]:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    with pytest.raises(InvalidInput, match="not known here"):
        check_targets(load("http://localhost"), LOOPBACK)


def test_a_test_that_is_too_hard_or_too_long_is_refused() -> None:
    check_ceilings(load("http://127.0.0.1", rate=50, lasts="60s"), 50, timedelta(minutes=1))
    with pytest.raises(InvalidInput, match="51 sessions a second, and this machine allows 50"):
        check_ceilings(load("http://127.0.0.1", rate=51), 50, timedelta(minutes=1))
    with pytest.raises(InvalidInput, match="0:01:01, and this machine allows 0:01:00"):
        check_ceilings(load("http://127.0.0.1", lasts="61s"), 50, timedelta(minutes=1))


def test_the_limits_of_a_machine_check_hosts_rate_and_time() -> None:
    Limits().check(load("http://127.0.0.1"))
    with pytest.raises(InvalidInput, match="allow-list"):
        Limits().check(load("http://10.0.0.7"))
    with pytest.raises(InvalidInput, match="sessions a second"):
        Limits(rate=5).check(load("http://127.0.0.1"))
