"""The YAML that we write reads back as what it was made from."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from holdfast.slo.yaml_text import yaml_text

KEYS = st.from_regex(r"[a-z][a-z_]{0,8}", fullmatch=True)
SCALARS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.integers(-(10**9), 10**9),
    st.floats(0.001, 1e6),
    st.booleans(),
    st.sampled_from(
        ["a\nb", "no", "1e3", "~", "#x", "a: b", " a\n b", "a\n\nb", "a\n", "'", '"', "\u2028\n", "{{ x }}"]
    ),
)
DATA = st.dictionaries(
    KEYS,
    st.recursive(
        SCALARS,
        lambda inner: st.one_of(
            st.dictionaries(KEYS, inner, max_size=4),
            st.lists(st.one_of(SCALARS, st.dictionaries(KEYS, inner, min_size=1, max_size=3)), max_size=4),
        ),
        max_leaves=12,
    ),
    min_size=1,
    max_size=4,
)


@given(DATA)
def test_any_data_reads_back_as_it_was(data) -> None:
    assert yaml.safe_load(yaml_text(data)) == data


def test_an_expression_of_several_lines_stands_as_people_read_it() -> None:
    assert yaml_text({"expr": 'a{b="c"}\nand\nd'}) == 'expr: |-\n  a{b="c"}\n  and\n  d\n'


def test_a_header_stays_a_comment_whatever_stands_in_it() -> None:
    text = yaml_text({"a": 1}, header=["made from x\nroute: {}"])

    assert yaml.safe_load(text) == {"a": 1}


def test_a_list_of_lists_is_refused() -> None:
    with pytest.raises(TypeError, match="a list holds"):
        yaml_text({"a": [["b"]]})
