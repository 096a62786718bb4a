"""Telegram on this machine: a Bot API server with a chat page for the people in it."""

import argparse
import asyncio
import logging
import math
import sqlite3
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from holdfast.sim.telegram.limits import LimitSettings
from holdfast.sim.telegram.people import PeopleFileError, load_people
from holdfast.sim.telegram.server import create_app, serve
from holdfast.sim.telegram.settings import Settings, SettingsError
from holdfast.sim.telegram.weather import Weather

_EPILOG = """\
the people file (JSON or YAML):
  users:
    - {id: 1001, first_name: Anna, username: anna, language_code: en, started: true}
    - {id: 1002, first_name: Boris, username: boris}        # has to press START before a bot may write
  chats:
    - id: -1001
      type: supergroup                                      # or group
      title: On-call
      members: [1001, 1002]
      admins: [1001]
      topics: [{id: 7, name: Incidents}]                    # supergroups only; `forum: true` for none yet
  bots:                                                     # optional: names for the tokens' bots
    - {id: 4242, first_name: Holdfast, username: holdfast_bot, privacy: true}

try it:
  python -m holdfast.sim.telegram --port 8081 --token 4242:DEMO --people people.yaml
  then open http://127.0.0.1:8081/ and point a bot at the same address:
  Bot("4242:DEMO", session=AiohttpSession(api=TelegramAPIServer.from_base("http://127.0.0.1:8081")))

also there: /metrics for Prometheus, /healthz, and JSON for people and tools, which GET /human explains.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the server; the exit status."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        app = create_app(_settings(options), Weather(options.drop_after_store, options.bad_gateway))
        asyncio.run(serve(app, options.host, options.port, "Telegram stand-in on {url}"))
    except sqlite3.DatabaseError as error:
        return _fail(f"--state {options.state}: {error}")
    except (PeopleFileError, SettingsError, OSError) as error:
        return _fail(str(error))
    return 0


def _fail(trouble: str) -> int:
    print(f"holdfast.sim.telegram: {trouble}", file=sys.stderr)  # noqa: T201 - the command's error output
    return 1


def _settings(options: argparse.Namespace) -> Settings:
    return Settings(
        tokens=options.token,
        people=load_people(options.people),
        state=str(options.state or ":memory:"),
        limits=LimitSettings(
            overall_per_second=options.overall_per_second,
            private_burst=options.private_burst,
            private_interval_seconds=options.private_interval_seconds,
            group_per_minute=options.group_per_minute,
            paid_broadcast=options.paid_broadcast,
        ),
        callback_seconds=options.callback_seconds,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m holdfast.sim.telegram",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--people", type=Path, required=True, help="who exists: a JSON or YAML file, see below")
    parser.add_argument(
        "--token", type=_token, action="append", required=True, help="a bot, as id:secret; repeat for more bots"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to bind to (%(default)s)")
    parser.add_argument(
        "--port", type=_whole(0, 65535), default=8081, help="port, 0 for a free one (%(default)s)"
    )
    parser.add_argument(
        "--state", type=Path, help="SQLite file that keeps chats and updates; in memory without it"
    )
    _add_limits(parser)
    weather = parser.add_argument_group("network weather (also at run time: POST /human/faults)")
    weather.add_argument(
        "--drop-after-store",
        type=_whole(0),
        default=0,
        metavar="N",
        help="store N messages but break the connection",
    )
    weather.add_argument(
        "--bad-gateway", type=_whole(0), default=0, metavar="N", help="answer N calls with a 502 page in HTML"
    )
    return parser


def _add_limits(parser: argparse.ArgumentParser) -> None:
    standard = LimitSettings()
    limits = parser.add_argument_group("limits of each bot; edits count like messages")
    for flag, default, meaning in (
        ("--overall-per-second", standard.overall_per_second, "messages in any second"),
        ("--private-burst", standard.private_burst, "messages at once in a private chat"),
        ("--group-per-minute", standard.group_per_minute, "messages to a group in any minute"),
    ):
        limits.add_argument(flag, type=_whole(1), default=default, metavar="N", help=f"{meaning} (%(default)s)")
    limits.add_argument("--paid-broadcast", action="store_true", help="let bots pay for more than 30 a second")
    for flag, seconds, meaning in (
        ("--private-interval-seconds", standard.private_interval_seconds, "then one each S seconds"),
        ("--callback-seconds", 15.0, "how long a pressed button can be answered"),
    ):
        limits.add_argument(flag, type=_seconds, default=seconds, metavar="S", help=f"{meaning} (%(default)s)")


def _token(text: str) -> str:
    bot_id, colon, secret = text.partition(":")
    if not (colon and secret and bot_id.isdigit() and not bot_id.startswith("0")):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a token; write it as number:secret, such as 4242:DEMO"
        )
    return text


def _whole(minimum: int, maximum: int = sys.maxsize) -> Callable[[str], int]:
    def parse(text: str) -> int:
        number = int(text) if text.isascii() and text.isdigit() else -1
        if not minimum <= number <= maximum:
            limit = f" and at most {maximum}" if maximum < sys.maxsize else ""
            raise argparse.ArgumentTypeError(
                f"must be a whole number of at least {minimum}{limit}, is {text!r}"
            )
        return number

    return parse


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number of seconds above 0, is {text!r}")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
