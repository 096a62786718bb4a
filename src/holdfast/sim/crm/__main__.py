"""`python -m holdfast.sim.crm`: one portal as a process."""

from argparse import ArgumentDefaultsHelpFormatter, ArgumentParser

from holdfast.sim import serving
from holdfast.sim.crm.server import build
from holdfast.sim.crm.settings import CrmSettings

_HELP = {
    "user": "number of the webhook's user",
    "code": "secret of the webhook",
    "burst": "calls let through at once; 0: no limit",
    "per_second": "calls let through in the long run, each second",
    "operating_limit_seconds": "working time of a method in ten minutes; 0: no limit",
    "workers": "calls worked on at once",
    "service_seconds": "mean working time of a plain call",
    "contention": "slow-down by each further call at work, as a part of the time",
    "idle_drop_seconds": "idle time after which a connection is dead; 0: never",
    "contacts": "contacts from the start",
    "seed": "of contents and working times",
}


def main() -> None:
    """Read the command line and serve."""
    parser = ArgumentParser(prog="holdfast.sim.crm", formatter_class=ArgumentDefaultsHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8402, help="port to listen on")
    defaults = CrmSettings()
    for name, text in _HELP.items():
        default: str | float = getattr(defaults, name)
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default, help=text)
    given = parser.parse_args()
    try:
        settings = CrmSettings(**{name: getattr(given, name) for name in _HELP})
    except ValueError as error:
        parser.error(str(error))
    serving.run("crm", lambda: build(settings), host=given.host, port=given.port)


if __name__ == "__main__":
    main()
