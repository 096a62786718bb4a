"""The files of the demo's campaign, with the moments and addresses that are known only when it is played."""

import re
from datetime import datetime
from pathlib import Path
from typing import Final

from workers.demo.stack import CLIENT_CHAT_ID, ROOT

CAMPAIGN: Final = "flash-sale"
LOAD_TEST: Final = "flash-sale-customers"
PLANNED: Final = "ticket-tiers"
FIX: Final = "widen-crm-pool"
DEMO_RUNBOOKS: Final = ROOT / "workers/demo/runbooks"
_WINDOW: Final = re.compile(r"^window: .*$", re.MULTILINE)
_CHAT: Final = re.compile(r"telegram_chat: -\d+")
_SHOP: Final = re.compile(r"http://127\.0\.0\.1:\d+")


def write_campaign(directory: Path, *, opens: datetime, closes: datetime, shop: str) -> None:
    """Write campaign and load test into a directory of runbooks.

    Args:
        directory: before the demo's own in the list of directories.
        opens: the window's beginning, aware.
        closes: its end, aware.
        shop: address of the shop that gets the load.
    """
    window = f"window: {{opens: {opens.isoformat()}, closes: {closes.isoformat()}}}"
    campaign = (DEMO_RUNBOOKS / f"campaign/{CAMPAIGN}.yaml").read_text()
    campaign = _CHAT.sub(f"telegram_chat: {CLIENT_CHAT_ID}", _WINDOW.sub(window, campaign))
    _write(directory / f"campaign/{CAMPAIGN}.yaml", campaign)
    load_test = (DEMO_RUNBOOKS / f"load/{LOAD_TEST}.yaml").read_text()
    _write(directory / f"load/{LOAD_TEST}.yaml", _SHOP.sub(shop, load_test))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
