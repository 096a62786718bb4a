from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.domain.gates import Gate
from holdfast.domain.links import LinkRefused, WebLinks
from holdfast.domain.proofs import Keyring

NOW = datetime(2026, 11, 21, 3, 12, 40, 5, tzinfo=UTC)
OLD, NEW = "an old secret of the house", "a new secret of the house"
GATE = Gate(
    id="2-pool",
    title="t",
    question="q",
    if_approved="a",
    if_rejected="r",
    if_nothing="n",
    approvers=("olga",),
    evidence="5d41402abc4b",
    token="k3jd92ksla0a",
    opened_at=NOW,
    execution="0a1b",
)
LINKS = WebLinks(Keyring([OLD]), "https://holdfast.example/")


def token_of(link: str) -> str:
    return link.rpartition("/")[2]


def test_a_link_says_whose_it_is_and_for_what() -> None:
    link = LINKS.link("rollout-1", GATE, "olga", NOW)
    assert link.startswith("https://holdfast.example/g/")
    claim = LINKS.read(token_of(link), NOW)
    assert (claim.run, claim.gate, claim.person) == ("rollout-1", "2-pool", "olga")
    assert (claim.evidence, claim.execution) == ("5d41402abc4b", "0a1b")
    assert claim.expires_at == (NOW + timedelta(hours=24)).replace(microsecond=0)


def test_nothing_that_a_button_carries_is_in_a_link() -> None:
    assert GATE.token not in LINKS.link("rollout-1", GATE, "olga", NOW)


def test_a_link_ends_at_its_moment() -> None:
    token = token_of(LINKS.link("rollout-1", GATE, "olga", NOW))
    end = LINKS.read(token, NOW).expires_at
    LINKS.read(token, end - timedelta(seconds=1))
    with pytest.raises(LinkRefused, match="good until 2026-11-22 03:12 UTC") as refused:
        LINKS.read(token, end)
    assert refused.value.answer == "expired"


@given(place=st.integers(min_value=0), letter=st.sampled_from("AaZz09-_."))
def test_a_link_with_one_other_letter_opens_nothing(place: int, letter: str) -> None:
    token = token_of(LINKS.link("rollout-1", GATE, "olga", NOW))
    place %= len(token)
    forged = token[:place] + letter + token[place + 1 :]
    if forged == token:
        return
    with pytest.raises(LinkRefused) as refused:
        LINKS.read(forged, NOW)
    assert refused.value.answer == "not_proven"


@given(st.text())
def test_any_other_text_is_refused_in_words(text: str) -> None:
    with pytest.raises(LinkRefused, match="not one that Holdfast has made"):
        LINKS.read(text, NOW)


def test_a_link_of_somebody_elses_key_opens_nothing() -> None:
    stranger = WebLinks(Keyring(["the secret of another house"]), "https://holdfast.example")
    with pytest.raises(LinkRefused):
        LINKS.read(token_of(stranger.link("rollout-1", GATE, "olga", NOW)), NOW)


def test_a_link_outlives_a_new_key_put_before_the_old_one() -> None:
    token = token_of(LINKS.link("rollout-1", GATE, "olga", NOW))
    assert WebLinks(Keyring([NEW, OLD]), "https://holdfast.example").read(token, NOW).person == "olga"
    with pytest.raises(LinkRefused):
        WebLinks(Keyring([NEW]), "https://holdfast.example").read(token, NOW)
