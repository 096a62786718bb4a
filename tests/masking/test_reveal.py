"""Secrets are read where systems.yaml says, and what was read does not get into the logs."""

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from holdfast.adapters.masking import HIDDEN, Mask, MaskFilter, install
from holdfast.domain.errors import InvalidInput
from holdfast.runbook.systems import Secret
from workers.systems import reveal

TOKEN = 'tok"en-äöü-\\1'


def written(directory: Path, text: str, mode: int = 0o600) -> Secret:
    path = directory / "secret"
    path.write_text(text)
    path.chmod(mode)
    return Secret(file=path)


def test_a_secret_of_a_file_is_its_text_without_blanks_around_and_the_mask_knows_it(tmp_path: Path) -> None:
    mask = Mask()

    assert reveal(written(tmp_path, f"\n {TOKEN}\n"), mask=mask) == TOKEN
    assert mask.text(f"<{TOKEN}>") == f"<{HIDDEN}>"


def test_a_secret_of_a_variable_is_read_at_each_use(monkeypatch: pytest.MonkeyPatch) -> None:
    mask = Mask()
    for value in ("first", "second"):
        monkeypatch.setenv("HF_TEST_SECRET", value)
        assert reveal(Secret(env="HF_TEST_SECRET"), mask=mask) == value

    assert mask.text("first second") == f"{HIDDEN} {HIDDEN}"


@pytest.mark.parametrize("text", ["", " \n\t\n"])
def test_an_empty_file_is_told(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidInput, match=f"the secret in file {tmp_path}/secret is empty"):
        reveal(written(tmp_path, text))


def test_a_variable_that_is_not_set_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TEST_SECRET", raising=False)

    with pytest.raises(InvalidInput, match="the secret in variable HF_TEST_SECRET is empty or not set"):
        reveal(Secret(env="HF_TEST_SECRET"))


def test_a_secret_too_short_to_be_kept_out_of_texts_is_refused_without_being_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="fewer than 4 characters") as caught:
        reveal(written(tmp_path, "q7z"))

    assert "q7z" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_told_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(
        InvalidInput, match=r"nothing cannot be read \(No such file or directory\): put it there"
    ):
        reveal(Secret(file=tmp_path / "nothing"))
    with pytest.raises(InvalidInput, match=r"cannot be read \(Is a directory\)"):
        reveal(Secret(file=tmp_path))


def test_a_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"\xff\xfe\xfd\xfc")

    with pytest.raises(InvalidInput, match="is not UTF-8 text"):
        reveal(Secret(file=tmp_path / "secret"))


def test_a_file_that_everybody_may_read_is_warned_of_once(tmp_path: Path) -> None:
    secret = written(tmp_path, TOKEN, 0o644)

    with capture_logs() as logs:
        reveal(secret, mask=Mask())
        reveal(secret, mask=Mask())

    assert [(line["log_level"], line["path"]) for line in logs] == [("warning", str(secret.file))]


def test_a_file_of_the_worker_alone_is_not_warned_of(tmp_path: Path) -> None:
    with capture_logs() as logs:
        reveal(written(tmp_path, TOKEN), mask=Mask())

    assert logs == []


@pytest.fixture
def mask() -> Mask:
    mask = Mask()
    mask.add(TOKEN)
    return mask


@pytest.fixture
def lines(mask: Mask) -> Iterator[io.StringIO]:
    """Logs as the command configures them, with the mask installed, into this stream."""
    stream, root, before = io.StringIO(), logging.getLogger(), structlog.get_config()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    root.addHandler(handler)
    structlog.configure(
        processors=[structlog.processors.format_exc_info, structlog.processors.JSONRenderer()],
        logger_factory=structlog.PrintLoggerFactory(stream),
    )
    install(mask)
    yield stream
    structlog.configure(**before)
    root.removeHandler(handler)
    for other in root.handlers:
        for installed in [f for f in other.filters if isinstance(f, MaskFilter)]:
            other.removeFilter(installed)


def test_what_other_libraries_log_is_masked_tracebacks_included(lines: io.StringIO) -> None:
    log = logging.getLogger("some.library")
    log.warning("asked %s with %r", "https://x", {"token": TOKEN})
    try:
        int(TOKEN)
    except ValueError:
        log.exception("it failed")
    log.warning("on the way to %s", TOKEN, stack_info=True)

    told = lines.getvalue()
    assert told.startswith(f"WARNING asked https://x with {{'token': '{HIDDEN}'}}\n")
    assert f"ValueError: invalid literal for int() with base 10: '{HIDDEN}'" in told
    assert "Traceback (most recent call last)" in told
    assert TOKEN not in told
    assert repr(TOKEN)[1:-1] not in told


def test_what_we_log_is_masked_and_still_json(lines: io.StringIO) -> None:
    log = structlog.get_logger()
    try:
        int(TOKEN)
    except ValueError:
        log.exception("it failed", token=TOKEN, inner={"a": [TOKEN]}, thing=ValueError(TOKEN))

    line = json.loads(lines.getvalue())
    assert line["token"] == HIDDEN
    assert line["inner"] == {"a": [HIDDEN]}
    assert line["thing"] == f"ValueError('{HIDDEN}')"
    assert line["exception"].endswith(f"with base 10: '{HIDDEN}'")


def test_lines_without_secrets_are_left_as_they_are(lines: io.StringIO) -> None:
    logging.getLogger("some.library").warning("%d of %d", 1, 2)
    structlog.get_logger().warning("all is well", count=3)

    assert lines.getvalue() == 'WARNING 1 of 2\n{"count": 3, "event": "all is well"}\n'
