"""Parameters that several commands share."""

from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

AsPerson = Annotated[str, Parameter(name="--as", help="Who you are: your short name in people.yaml.")]
AsJson = Annotated[bool, Parameter(name="--json", help="One JSON document on stdout.", show_default=False)]
RunId = Annotated[str, Parameter(help="The run's id, as `holdfast runs` lists it.")]
OneGate = Annotated[str, Parameter(help="Which gate; without it the one that is open.", show_default=False)]
Reason = Annotated[str, Parameter(help="For the record; others read it.", show_default=False)]
Until = Annotated[str, Parameter(help="2026-12-31T12:00+01:00, or +7d from now.", show_default=False)]
Paste = Annotated[
    str,
    Parameter(
        help="The JSON from your private chat: a file, '-' for stdin, or the JSON itself.",
        allow_leading_hyphen=True,
        show_default=False,
    ),
]
NoRequest = Annotated[
    bool,
    Parameter(name="--no-request", help="Do not send me a code, I have one.", show_default=False),
]
Wait = Annotated[bool, Parameter(help="Follow the run to its end.", show_default=False)]


@dataclass(frozen=True)
class Said:
    """What every command takes that says something to a gate.

    Attributes:
        person: who says it.
        gate: to which gate; empty for the open one.
        evidence: digest that the person saw; empty for the one that is shown.
        reason: for the record.
        paste: the approval JSON: itself, a file, or `-` for stdin; empty to be asked for it.
        no_request: whether no code is to be sent.
    """

    person: AsPerson
    gate: Annotated[
        str,
        Parameter(
            help="Which gate; without it the one that is open now, which is shown first.", show_default=False
        ),
    ] = ""
    evidence: Annotated[
        str,
        Parameter(
            help="As `holdfast show` printed it: the answer does not count if it changed.", show_default=False
        ),
    ] = ""
    reason: Reason = ""
    paste: Paste = ""
    no_request: NoRequest = False


AllSaid = Annotated[Said, Parameter(name="*")]


@dataclass(frozen=True)
class Spoken:
    """What every command takes that says one certain thing to a run; see `Said`."""

    person: AsPerson
    reason: Reason = ""
    paste: Paste = ""
    no_request: NoRequest = False

    def to(self, gate: str) -> Said:
        """Return it as said to this gate, or as this word."""
        return Said(
            person=self.person,
            gate=gate,
            reason=self.reason,
            paste=self.paste,
            no_request=self.no_request,
        )


AllSpoken = Annotated[Spoken, Parameter(name="*")]
