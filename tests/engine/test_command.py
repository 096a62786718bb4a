import itertools
from pathlib import Path

from workers.engine import DYNAMIC_CONFIG, TIME_SKIPPING_CONFIG, server_command, server_environment


def options_of(command: list[str]) -> list[tuple[str, str]]:
    """Flags with their values, in the spelling `--flag value`."""
    return [(flag, value) for flag, value in itertools.pairwise(command) if flag.startswith("--")]


def test_without_ui_and_file_the_server_is_headless_and_in_memory():
    command = server_command(
        Path("/opt/temporal"), port=7233, ui_port=None, db_path=None, search_attributes={}, namespace="drill"
    )
    assert command[:3] == ["/opt/temporal", "server", "start-dev"]
    assert "--headless" in command
    assert not {"--ui-port", "--db-filename"} & set(command)
    assert {("--port", "7233"), ("--ip", "127.0.0.1"), ("--namespace", "drill")} <= set(options_of(command))


def test_every_setting_reaches_the_command_line():
    settings = {**DYNAMIC_CONFIG, **TIME_SKIPPING_CONFIG}
    command = server_command(
        Path("temporal"),
        port=1,
        ui_port=2,
        db_path=Path("/data/engine.db"),
        search_attributes={"Severity": "Keyword", "Shares": "Int"},
        dynamic_config=settings,
    )
    options = options_of(command)
    assert {("--ui-port", "2"), ("--db-filename", "/data/engine.db")} <= set(options)
    given = [value for flag, value in options if flag == "--dynamic-config-value"]
    assert given == [f"{key}={value}" for key, value in settings.items()]
    assert {"--search-attribute=Severity=Keyword", "--search-attribute=Shares=Int"} <= set(command)


def test_a_garbage_collection_setting_of_the_operator_wins():
    assert server_environment({"PATH": "/bin"}) == {"PATH": "/bin", "GOGC": "400"}
    assert server_environment({"GOGC": "100"}) == {"GOGC": "100"}
