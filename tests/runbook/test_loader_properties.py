"""Whatever people do to a file, it loads or says where it is wrong."""

import re
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.domain.errors import RunbookInvalid
from holdfast.runbook.loader import load_rollout

LINES = (Path(__file__).parent / "example.yaml").read_text().splitlines()

values = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        [
            "",
            "null",
            "true",
            "-1",
            "0",
            "1e400",
            "9" * 30 + "d",
            "[]",
            "{}",
            "[[1]]",
            "{a: b}",
            "*a",
            "&a x",
            "!!set {}",
        ]
    ),
    st.integers().map(str),
    st.floats().map(str),
)


def replace_value(line: str, value: str) -> str:
    return re.sub(r": .*$", lambda _: f": {value}", line)


edits = st.tuples(
    st.integers(0, len(LINES) - 1),
    st.one_of(
        st.just(lambda line: ""),
        st.just(lambda line: line + "\n" + line),
        st.just(lambda line: "  " + line),
        st.just(lambda line: line[1:]),
        st.just(lambda line: line.replace(":", "", 1)),
        values.map(lambda value: lambda line: replace_value(line, value)),
        values.map(lambda value: lambda line: line + value),
    ),
)


def load(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    try:
        loaded = load_rollout(path)
    except RunbookInvalid as error:
        for line in str(error).splitlines():
            assert re.match(rf"{re.escape(str(path))}:\d+: \S", line), line
    else:
        assert loaded.spec.name == "example"


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edited=st.lists(edits, min_size=1, max_size=3))
def test_an_edited_file_loads_or_every_line_of_the_error_names_file_and_line(tmp_path, edited):
    lines = list(LINES)
    for index, edit in edited:
        lines[index] = edit(lines[index])

    load("\n".join(lines), tmp_path / "example.yaml")


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(codec=None), max_size=60))
def test_any_text_loads_or_every_line_of_the_error_names_file_and_line(tmp_path, text):
    load(text, tmp_path / "example.yaml")
