"""`python -m holdfast.sim.ci gitlab`: a CI system as a process."""

import sys
from argparse import ArgumentDefaultsHelpFormatter, ArgumentParser, Namespace
from pathlib import Path
from typing import Final

from aiohttp import web
from pydantic import ValidationError

from holdfast.sim import serving
from holdfast.sim.ci.engine import Ci
from holdfast.sim.ci.server import FACES, create_app, settings_for
from holdfast.sim.ci.settings import CiSettings

_NUMBERS: Final = {
    "runners": (int, "jobs at once; others queue"),
    "queue_seconds": (float, "how long a runner takes to pick a job up"),
    "job_seconds": (float, "how long a job takes"),
    "requests_per_minute": (int, "answered to all clients together"),
    "window_seconds": (float, "how long a request budget is counted"),
    "visible_after_seconds": (float, "a run that was started is in lists only after this"),
    "drop_starts": (int, "starts that are accepted and never answered"),
}


def main() -> None:
    """Read the command line and serve."""
    given = _parser().parse_args()
    try:
        settings = _settings(given)
    except ValidationError as error:
        first = error.errors()[0]
        flag = str(first["loc"][0]).replace("_", "-")
        sys.exit(f"the CI system cannot start: --{flag}: {first['msg'].lower()}")

    def build() -> web.Application:
        try:
            return create_app(given.face, Ci(settings))
        except ValidationError:
            sys.exit(f"the CI system cannot start: --state {given.state} is not a file of its own")

    serving.run(given.face, build, host=given.host, port=given.port)


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="holdfast.sim.ci", formatter_class=ArgumentDefaultsHelpFormatter)
    parser.add_argument("face", choices=sorted(FACES), help="whose API it speaks")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8404, help="port to listen on")
    parser.add_argument("--token", default="ci-demo-token", help="what requests have to bring")
    parser.add_argument("--user", default="holdfast", help="to whom the token belongs")
    parser.add_argument("--state", type=Path, help="file that keeps runs and deployments")
    parser.add_argument("--initial-version", default="1.4.2", help="deployed to every part at first")
    parser.add_argument("--ref", action="append", help="a branch that exists (main); repeat for more")
    parser.add_argument(
        "--failing-version",
        action="append",
        default=[],
        help="a version whose job fails halfway; repeatable",
    )
    for name, (kind, meaning) in _NUMBERS.items():
        default = CiSettings.model_fields[name].default
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, default=default, help=meaning)
    return parser


def _settings(given: Namespace) -> CiSettings:
    return settings_for(
        given.face,
        token=given.token,
        user=given.user,
        deployments_file=given.state,
        initial_version=given.initial_version,
        refs=tuple(given.ref or ["main"]),
        failing_versions=frozenset(given.failing_version),
        **{name: getattr(given, name) for name in _NUMBERS},
    )


if __name__ == "__main__":
    main()
