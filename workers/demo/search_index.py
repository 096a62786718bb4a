"""The shop's search index over its tickets, as a program: `on` builds it, `restore` undoes that, `state` tells.

A command of `systems.yaml`, started by path with the standard library only. `SEARCH_DB` is the shop's database,
`SEARCH_FOLDER` is where the index and its own log are.
"""

import json
import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path


def main() -> None:
    """Do what the first argument says."""
    folder = Path(os.environ["SEARCH_FOLDER"])
    index, log = folder / "search-index.json", folder / "search-index.log"
    action = sys.argv[1]
    if action == "state":
        sys.stdout.write("on\n" if index.exists() else "off\n")
        return
    if action == "on":
        _build(Path(os.environ["SEARCH_DB"]), index)
    elif os.environ["HOLDFAST_BEFORE"] == "off":
        index.unlink(missing_ok=True)
    with log.open("a") as file:
        file.write(f"{os.environ['HOLDFAST_KEY']}\n")


def _build(database: Path, index: Path) -> None:
    """Write which tickets each tier has; readers see the old index or the whole one."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        rows = connection.execute("SELECT tier, json_group_array(id) FROM tickets GROUP BY tier").fetchall()
    beside = index.with_suffix(".tmp")
    beside.write_text(json.dumps({tier: json.loads(ids) for tier, ids in rows}))
    beside.replace(index)


if __name__ == "__main__":
    main()
