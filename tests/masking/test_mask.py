"""Whatever a secret is and however it is written down, it does not come through the mask."""

import base64
import json
import re
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from holdfast.adapters.masking import HIDDEN, Mask

secrets = st.text(st.characters(exclude_characters="•", exclude_categories=["Cs"]), min_size=4, max_size=40)
around = st.text(st.characters(exclude_characters="•", exclude_categories=["Cs"]), max_size=20)
WRITTEN = {
    "as it is": lambda secret: secret,
    "in a path": quote,
    "in a URL": lambda secret: quote(secret, safe=""),
    "in a form": quote_plus,
    "in a URL with small digits": lambda secret: re.sub(
        r"%[0-9A-F]{2}", lambda found: found[0].lower(), quote(secret, safe="")
    ),
    "in JSON": json.dumps,
    "in JSON with all letters": lambda secret: json.dumps(secret, ensure_ascii=False),
    "in Python": repr,
    "in JSON in JSON": lambda secret: json.dumps(json.dumps(secret)),
    "in Python in JSON": lambda secret: json.dumps(repr(secret)),
}


def mask_of(*secrets: str) -> Mask:
    mask = Mask()
    for secret in secrets:
        mask.add(secret)
    return mask


@pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN)
@given(secret=secrets, before=around, after=around)
def test_a_secret_is_replaced_in_every_form_and_the_rest_stays(written, secret, before, after):
    form = written(secret)
    core = form[1:-1] if form[:1] in "\"'" and form[:1] == form[-1:] and form != secret else form
    assume(core not in before + after)

    masked = mask_of(secret).text(f"{before}<{form}>{after}")

    assert core not in masked
    assert secret not in masked
    assert HIDDEN in masked


@given(secret=secrets, user=around, after=around)
def test_a_secret_is_replaced_in_base64_wherever_it_begins(secret, user, after):
    raw = f"{user}:{secret}{after}".encode()
    mask = mask_of(secret)

    for encoded in (base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()):
        assert (
            mask.text(f"Authorization: Basic {encoded}, and more") == f"Authorization: Basic {HIDDEN}, and more"
        )


@given(first=secrets, second=secrets, shared=st.integers(1, 3))
def test_secrets_that_overlap_leave_nothing_of_either(first, second, shared):
    second = first[-shared:] + second
    said = first + second[shared:]

    assert mask_of(first, second).text(f"<{said}>") in {f"<{HIDDEN}>", f"{HIDDEN}>", f"<{HIDDEN}", HIDDEN}


@given(secret=secrets, said=around)
def test_a_text_without_secrets_is_left_as_it_is(secret, said):
    assume(not any(c in "".join((secret, quote(secret), repr(secret), json.dumps(secret))) for c in said))
    assume(not said.isascii() or not any(c.isalnum() or c in "+/-_" for c in said))

    assert mask_of(secret).text(said) == said


@given(secret=secrets, said=st.text(max_size=60))
def test_masking_twice_is_masking_once(secret, said):
    mask = mask_of(secret)
    once = mask.text(f"{said}{secret}{said}")

    assert mask.text(once) == once


@given(
    secret=secrets,
    data=st.recursive(
        around | st.integers() | st.booleans() | st.none(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(around, inner, max_size=3),
        max_leaves=8,
    ),
)
def test_plain_data_keeps_its_shape_and_loses_its_secrets(secret, data):
    masked = mask_of(secret).value({"data": data, "list": [secret, (secret, 5)], secret: {"x": f"a {secret}"}})

    assert secret not in masked
    assert masked["list"][1][1] == 5
    assert HIDDEN in masked["list"][0]
    assert HIDDEN in masked["list"][1][0]


@pytest.mark.parametrize(
    ("address", "texts"),
    [
        (
            "postgresql+psycopg://shop:s3cr%40et@db/shop",
            ["s3cr%40et", "s3cr@et", "postgresql+psycopg://shop:s3cr%40et@db/shop"],
        ),
        ("postgresql://shop:p@ss:w/rd@db:5432/shop", ["p@ss:w/rd"]),
        ("postgresql://db/shop?user=a&password=hidden+word", ["hidden word", "hidden+word"]),
        ("mailtos://user:app-passw0rd@smtp.example.com?from=a@b", ["app-passw0rd"]),
    ],
)
def test_the_password_of_an_address_is_a_secret_too(address, texts):
    mask = mask_of(address)

    for text in texts:
        assert text not in mask.text(f'FATAL: "{text}" is wrong')
    assert mask.text("connection to db as shop failed") == "connection to db as shop failed"


def test_lines_of_a_key_are_masked_one_by_one():
    mask = mask_of("-----BEGIN KEY-----\nMIIEvQIBADAN\nBgkqhkiG9w0B\n-----END KEY-----")

    assert mask.text("cannot parse MIIEvQIBADAN") == f"cannot parse {HIDDEN}"


def test_a_secret_that_was_replaced_is_remembered_for_some_while_and_not_for_ever():
    mask = mask_of(*(f"token-{number:04}" for number in range(300)))
    mask.add("token-0044")  # revealed once more, so it is younger than it was

    assert mask.text("token-0299 token-0044") == f"{HIDDEN} {HIDDEN}"
    assert mask.text("token-0000") == "token-0000"


def test_a_mask_that_knows_nothing_changes_nothing():
    assert Mask().text("whatever is said") == "whatever is said"
