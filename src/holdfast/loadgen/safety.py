"""What a load test may hit, how hard and how long: not the file decides that, but the worker's settings."""

import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from holdfast.domain.errors import InvalidInput
from holdfast.runbook.kinds.load import LoadSpec

LOOPBACK: Final = ("127.0.0.0/8", "::1", "localhost")
SETTING: Final = "HOLDFAST_LOAD_HOSTS"
_Address = IPv4Address | IPv6Address
_Network = IPv4Network | IPv6Network


@dataclass(frozen=True)
class Limits:
    """What this machine allows, from its settings.

    Attributes:
        hosts: names, `*.example.com` for all names below, addresses, or networks like `10.0.0.0/8`.
        rate: sessions that begin in a second, at most.
        lasts: of a whole test, at most.
    """

    hosts: tuple[str, ...] = field(default=LOOPBACK)
    rate: float = 1000.0
    lasts: timedelta = timedelta(hours=1)

    def check(self, spec: LoadSpec) -> None:
        """Refuse a test that this machine must not run.

        Raises:
            InvalidInput: a target's host is not allowed, or the test is too hard or too long.
        """
        check_targets(spec, self.hosts)
        check_ceilings(spec, self.rate, self.lasts)


def check_targets(spec: LoadSpec, allowed: Sequence[str]) -> None:
    """Refuse a test that would hit a host which is not on the allow-list.

    A name must be allowed itself: that it leads to an allowed address today says nothing about tomorrow.
    `localhost` and the names below must also lead to this machine only. This may ask the name server.

    Args:
        spec: the test.
        allowed: as in `Limits.hosts`.

    Raises:
        InvalidInput: names the target, its host and the remedy; or an entry of the list is none.
    """
    names, networks = _understood(allowed)
    for target, system in spec.targets.items():
        host = (system.url.host or "").strip("[]").rstrip(".").lower()
        address = _address(host)
        if not (_inside(address, networks) if address else _named(host, names)):
            listed = ", ".join(allowed) or "none"
            raise InvalidInput(
                f"target '{target}': host '{host}' is not on this machine's allow-list ({listed}). "
                f"If the load is really meant for it, add '{host}' to {SETTING}."
            )
        if address is None and _is_localhost(host):
            _check_leads_here(target, host)


def check_ceilings(spec: LoadSpec, rate: float, lasts: timedelta) -> None:
    """Refuse a test that is harder or longer than this machine allows.

    Args:
        spec: the test.
        rate: sessions that may begin in a second.
        lasts: how long they may begin.

    Raises:
        InvalidInput: says by how much, and the remedy.
    """
    highest = max(phase.rate for phase in spec.all_phases)
    if highest > rate:
        raise InvalidInput(
            f"phases: they reach {highest:g} sessions a second, and this machine allows {rate:g}. "
            "Lower the rate, or raise HOLDFAST_LOAD_RATE."
        )
    if spec.lasts > lasts:
        raise InvalidInput(
            f"phases: they last {spec.lasts}, and this machine allows {lasts}. "
            "Shorten them, or raise HOLDFAST_LOAD_MINUTES."
        )


def _understood(allowed: Sequence[str]) -> tuple[list[str], list[_Network]]:
    names: list[str] = []
    networks: list[_Network] = []
    for entry in (each.strip().lower() for each in allowed):
        try:
            networks.append(ip_network(entry, strict=False))
        except ValueError:
            if not entry.removeprefix("*.") or set(entry.removeprefix("*.")) & set("/:*@ "):
                raise InvalidInput(
                    f"{SETTING}: '{entry}' is no host. Write names (shop.example.com), all names below one "
                    "(*.example.com), addresses (10.0.0.7) or networks (10.0.0.0/8), without scheme and port."
                ) from None
            names.append(entry.rstrip("."))
    return names, networks


def _address(host: str) -> _Address | None:
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def _inside(address: _Address, networks: Sequence[_Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


def _named(host: str, names: Sequence[str]) -> bool:
    return any(host.endswith(name[1:]) if name.startswith("*.") else host == name for name in names)


def _is_localhost(host: str) -> bool:
    return host == "localhost" or host.endswith(".localhost")


def _check_leads_here(target: str, host: str) -> None:
    try:
        found = {str(place[4][0]) for place in socket.getaddrinfo(host, None)}
    except OSError as error:
        raise InvalidInput(f"target '{target}': host '{host}' is not known here: {error}") from None
    elsewhere = sorted(each for each in found if not ((at := _address(each)) and at.is_loopback))
    if elsewhere:
        raise InvalidInput(
            f"target '{target}': host '{host}' leads to {elsewhere[0]}, which is not this machine. "
            f"Write the address itself, and add it to {SETTING} if the load is really meant for it."
        )
