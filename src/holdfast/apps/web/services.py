"""What the web page needs from the outside, handed in by the composition root."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from holdfast.domain.links import WebLinks
from holdfast.domain.people import People
from holdfast.domain.proofs import Keyring
from holdfast.domain.view import RunView
from holdfast.ports.audit import AuditLog
from holdfast.ports.campaigns import CampaignLog
from holdfast.ports.identity import Intents, SecondFactor
from holdfast.ports.notices import PrivateChannel
from holdfast.ports.reports import Reports
from holdfast.ports.runs import RunControl


@dataclass(frozen=True, kw_only=True)
class WebServices:
    """Everything the pages call.

    Attributes:
        people: who is who now; asked for every request; may raise InvalidInput, which is told to the person.
        keyring: signs what people say, once they are recognised.
        second_factor: codes of authenticator apps.
        intents: where a PIN that was sent by e-mail is remembered.
        audit: the record; what never reaches a run is written from here.
        links: reads the links by which people come.
        render_chart: a run → PNG of its newest numbers, or None where there is nothing to draw; may take a
            second.
        email: sends PINs; None where no e-mail is set up.
        channels: send links to reports, the preferred one first.
        campaigns: what is kept of campaigns: who may read a report.
        reports: makes them.
        now: the present moment, aware.
    """

    runs: RunControl
    people: Callable[[], People]
    keyring: Keyring
    second_factor: SecondFactor
    intents: Intents
    audit: AuditLog
    links: WebLinks
    render_chart: Callable[[RunView], bytes | None]
    email: PrivateChannel | None
    channels: Sequence[PrivateChannel]
    campaigns: CampaignLog
    reports: Reports
    now: Callable[[], datetime]
