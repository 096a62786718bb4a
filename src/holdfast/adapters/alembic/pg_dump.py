"""Asks `pg_dump` for a schema."""

import os
import re
import shutil
import subprocess
from typing import Any, Final

from psycopg.conninfo import make_conninfo

from holdfast.adapters.alembic.database import Database, Handle
from holdfast.domain.errors import InvalidInput

_OPTIONS: Final = (
    "--schema-only",
    "--no-owner",
    "--no-privileges",
    "--no-comments",
    "--no-security-labels",
    "--no-publications",
    "--no-subscriptions",
    "--no-tablespaces",
    "--no-password",
)
_SECRETS: Final = {"password", "sslpassword"}
_FOR_PSQL: Final = re.compile(r"^\\(un)?restrict .*$", re.MULTILINE)
_LOOK_AGAIN_SECONDS: Final = 0.2


def dump_schema(database: Database, handle: Handle) -> str | None:
    """Return the statements that make the schema; None if there is no `pg_dump` that knows this server.

    Raises:
        InvalidInput: `pg_dump` refused; the text is its own.
        Unavailable: the database does not answer.
        Stopped: `handle.stop` was called.
    """
    with database.transaction(handle) as connection:
        server: Any = connection.dialect.server_version_info
        arguments = connection.dialect.create_connect_args(database.url)[1]
    program = shutil.which("pg_dump")
    if program is None or _major(program) < server[0]:
        return None
    password = str(arguments.get("password", ""))
    # Everybody on the machine sees the arguments of a program, so no secret is among them.
    shown: dict[str, Any] = {
        k: v for k, v in arguments.items() if k not in _SECRETS and isinstance(v, str | int)
    }
    wait = f"--lock-wait-timeout={max(1, round(database.lock_timeout.total_seconds() * 1000))}"
    command = [program, *_OPTIONS, wait, f"--dbname={make_conninfo(**shown)}"]
    said, trouble, code = _run(command, os.environ | ({"PGPASSWORD": password} if password else {}), handle)
    if code:
        words = (trouble.strip().splitlines() or ["it said nothing"])[0]
        words = words.replace(password, "***") if password else words
        raise InvalidInput(f"{database.name}: its schema cannot be copied for the dry run: {words}")
    return _FOR_PSQL.sub("", said)


def _major(program: str) -> int:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout  # noqa: S603  found on PATH
    match = re.search(r"\d+", said)
    return int(match[0]) if match else 0


def _run(command: list[str], environment: dict[str, str], handle: Handle) -> tuple[str, str, int]:
    with subprocess.Popen(  # noqa: S603  no shell; every argument is made here
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        while True:
            try:
                said, trouble = process.communicate(timeout=_LOOK_AGAIN_SECONDS)
            except subprocess.TimeoutExpired:
                try:
                    handle.check()
                except BaseException:
                    process.kill()
                    raise
            else:
                return said, trouble, process.returncode
