"""`python -m holdfast.sim.shop`: the client's system as a process."""

import os
import sys
from argparse import ArgumentDefaultsHelpFormatter, ArgumentParser
from pathlib import Path

from holdfast.sim import serving
from holdfast.sim.shop.configuration import Configuration
from holdfast.sim.shop.message_log import MessageLog
from holdfast.sim.shop.server import build


def main() -> None:
    """Read the command line and serve."""
    parser = ArgumentParser(prog="holdfast.sim.shop", formatter_class=ArgumentDefaultsHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8401, help="port to listen on")
    parser.add_argument("--crm-url", default="http://127.0.0.1:8402/rest/1/SECRET", help="webhook of the CRM")
    parser.add_argument("--state", type=Path, help="file that keeps the configuration and its log")
    parser.add_argument(
        "--message-log",
        type=Path,
        default=os.environ.get("SHOP_MESSAGE_LOG") or None,
        help="file that gets a line of JSON for each message; also by the environment: SHOP_MESSAGE_LOG",
    )
    parser.add_argument("--seed", type=int, default=1, help="of the shop's chances")
    given = parser.parse_args()
    try:
        configuration = Configuration(given.state)
        messages = MessageLog(given.message_log)
    except (ValueError, OSError) as error:
        sys.exit(f"shop cannot start: {error}")
    serving.run(
        "shop",
        lambda: build(given.crm_url, configuration, seed=given.seed, messages=messages),
        host=given.host,
        port=given.port,
        notice_disconnects=True,
    )


if __name__ == "__main__":
    main()
