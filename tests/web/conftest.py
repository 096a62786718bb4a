import re
from collections.abc import AsyncIterator
from html import unescape
from typing import Any

import httpx
import pytest

from holdfast.apps.web import WebServices, build_app
from tests.web.fakes import BASE_URL, House


class Visitor:
    """Somebody with a browser that has no JavaScript: opens links, fills in the form of the page, presses."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self.page = httpx.Response(204)
        self.url = ""

    async def open(self, url: str) -> "Visitor":
        self.url = url
        self.page = await self.client.get(url)
        return self

    @property
    def text(self) -> str:
        """What is readable on the page."""
        return " ".join(unescape(re.sub(r"<[^>]+>", " ", self.page.text)).split())

    @property
    def said(self) -> str:
        """The sentence at the top."""
        found = re.search(r'<p class="said \w+" role[^>]*>(.*?)</p>', self.page.text, re.DOTALL)
        return unescape(found[1]) if found else ""

    @property
    def hidden(self) -> dict[str, str]:
        return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', self.page.text))

    def has_button(self, value: str) -> bool:
        return f'name="say" value="{value}"' in self.page.text

    async def press(self, say: str, *, hidden: dict[str, str] | None = None, **typed: str) -> "Visitor":
        data: dict[str, Any] = {**(hidden or self.hidden), **typed, "say": say}
        self.page = await self.client.post(self.url, data=data)
        return self


async def visitor_of(services: WebServices) -> AsyncIterator[Visitor]:
    transport = httpx.ASGITransport(app=build_app(services), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=BASE_URL) as client:
        yield Visitor(client)


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture
async def visitor(house: House) -> AsyncIterator[Visitor]:
    async for made in visitor_of(house.services()):
        yield made
