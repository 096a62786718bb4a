"""The real browser of the tests, as it has to be started without a desktop."""

import os
from typing import Final

from playwright.async_api import expect

CHROMIUM: Final = os.environ.get("HOLDFAST_CHROMIUM", "/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# A busy machine draws a page later; Playwright's own 5 s are for machines that do nothing else.
expect.set_options(timeout=30_000)
