"""The promises of the outbox, on the Bot API stand-in with its limits on, beside a plain loop over aiogram.

The plain loop is what everybody writes first: one queue, `send_message`, sleep as long as a 429 asks for. Both
get the same load at the same time. Takes about a quarter of an hour; `--only NAME` runs one part. Prints tables
and, as its last line, one JSON object: the wait of gold at 132 % overload, whose bound is two seconds; `holds`
is true when every promise of the parts that ran was kept.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.outbox_parts.figures import Promise, show_promises
from benchmarks.outbox_parts.kills import kills
from benchmarks.outbox_parts.rows import rows
from benchmarks.outbox_parts.side_by_side import gold_flood, one_group, overload
from benchmarks.outbox_parts.updates import updates

PARTS: Mapping[str, Callable[[Path], Coroutine[Any, Any, list[Promise]]]] = {
    "overload": overload,
    "gold-flood": gold_flood,
    "one-group": one_group,
    "kills": kills,
    "rows": rows,
    "updates": updates,
}
_HEADLINE = "overload: gold p95, s"


def main() -> int:
    """Measure, print, and return 0 when everything holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=PARTS, action="append", help="run this part; repeat for more")
    parts = parser.parse_args().only or list(PARTS)
    promises: list[Promise] = []
    with tempfile.TemporaryDirectory(prefix="outbox-benchmark-") as directory:
        for name in parts:
            Console().print(f"[bold]{name}[/bold] …")
            place = Path(directory) / name
            place.mkdir()
            promises += asyncio.run(PARTS[name](place))
    show_promises(promises)
    print(json.dumps(_result(promises)))
    return 0 if all(promise.holds for promise in promises) else 1


def _result(promises: list[Promise]) -> dict[str, object]:
    headline = next((p for p in promises if p.what == _HEADLINE), promises[0])
    reference = headline.reference
    return {
        "name": "outbox",
        "ours": round(headline.ours, 3),
        "reference": reference if reference is None else round(reference, 3),
        "ratio": round(headline.ours / reference, 3) if reference else None,
        "bound": headline.bound,
        "holds": all(promise.holds for promise in promises),
    }


if __name__ == "__main__":
    sys.exit(main())
