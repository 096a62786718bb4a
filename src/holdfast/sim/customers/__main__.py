"""`python -m holdfast.sim.customers`: the customers as a process."""

import logging
from argparse import ArgumentDefaultsHelpFormatter, ArgumentParser

from holdfast.sim import serving
from holdfast.sim.customers.server import MAX_PER_SECOND, build


def main() -> None:
    """Read the command line and serve."""
    parser = ArgumentParser(prog="holdfast.sim.customers", formatter_class=ArgumentDefaultsHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8403, help="port to listen on")
    parser.add_argument("--shop-url", default="http://127.0.0.1:8401", help="base URL of the shop")
    parser.add_argument("--rate", type=float, default=25, help="visits each second")
    parser.add_argument("--patience-seconds", type=float, default=4, help="mean patience of a customer")
    parser.add_argument("--seed", type=int, default=1, help="of the customers' chances")
    given = parser.parse_args()
    if not 0 <= given.rate <= MAX_PER_SECOND:
        parser.error(f"--rate must be from 0 to {MAX_PER_SECOND}, not {given.rate:g}")
    if given.patience_seconds <= 0:
        parser.error(f"--patience-seconds must be above 0, not {given.patience_seconds:g}")
    logging.basicConfig(format="customers %(message)s")
    serving.run(
        "customers",
        lambda: build(
            given.shop_url, per_second=given.rate, patience_seconds=given.patience_seconds, seed=given.seed
        ),
        host=given.host,
        port=given.port,
    )


if __name__ == "__main__":
    main()
