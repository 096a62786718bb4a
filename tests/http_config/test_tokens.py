"""Systems of `systems.yaml` beside the endpoints of the settings: their tokens go along, and nowhere else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from holdfast.adapters.http_config import HttpConfigProvider
from holdfast.domain.errors import InvalidInput, RunbookInvalid, Unavailable
from holdfast.ports.changes import ChangeProvider
from tests.http_config.writing import send
from workers.settings import Settings
from workers.wiring import CHANGE_PROVIDERS, change_providers

TOKEN = "t0ken/with+signs="
CONFIG = '{"version": 1, "stable": {"a": 1}, "canary": {"a": 1}, "canary_share_percent": 0}'


class Target:
    """A configuration API that says the same to everybody, and remembers what it was asked."""

    def __init__(self, status: str = "200 OK", body: str = CONFIG, header: str = "X-Nothing: 1") -> None:
        self.status, self.body, self.header = status, body, header
        self.requests: list[str] = []
        self.url = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.requests.append(asked)
        body = self.body.replace("{asked}", " ".join(asked.split())).encode()
        head = [
            f"HTTP/1.1 {self.status}",
            self.header,
            f"Content-Length: {len(body)}",
            "Connection: close",
            "",
            "",
        ]
        writer.write("\r\n".join(head).encode() + body)
        await writer.drain()
        writer.close()

    @property
    def tokens(self) -> list[str]:
        lines = [line for request in self.requests for line in request.splitlines()]
        return [line.partition(": ")[2] for line in lines if line.lower().startswith("authorization:")]


@asynccontextmanager
async def serving(target: Target) -> AsyncIterator[Target]:
    async with await asyncio.start_server(target.answer, "127.0.0.1", 0) as server:
        target.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield target


def settings_of(directory: Path, systems: str = "", endpoints: dict[str, str] | None = None) -> Settings:
    if systems:
        (directory / "systems.yaml").write_text(f"systems:\n{systems}")
    return Settings(runbook_dirs=(directory,), endpoints=endpoints or {}, state_dir=directory / "var")


def listed(directory: Path, target: Target, token: str = TOKEN) -> dict[str, ChangeProvider]:
    (directory / "token").write_text(f"{token}\n")
    line = f"  eu: {{kind: http_config, url: '{target.url}', token: {{file: token}}}}\n"
    return change_providers(settings_of(directory, line))


async def test_a_listed_system_is_asked_with_its_token_for_settings_and_share(tmp_path: Path) -> None:
    async with serving(Target()) as target:
        providers = listed(tmp_path, target)
        read = await providers["http_config"].read("eu", "stable")
        await send(providers["http_config"], "eu", "stable", {"a": 2}, expected_version=1, key="k")
        await providers["canary_share"].read("eu", "share")

    assert read.values == {"a": 1}
    assert target.tokens == [f"Bearer {TOKEN}"] * 3


async def test_a_token_that_is_replaced_counts_from_the_next_call(tmp_path: Path) -> None:
    async with serving(Target()) as target:
        provider = listed(tmp_path, target)["http_config"]
        await provider.read("eu", "stable")
        (tmp_path / "token").write_text("another")
        await provider.read("eu", "stable")

    assert target.tokens == [f"Bearer {TOKEN}", "Bearer another"]


async def test_an_endpoint_of_the_settings_stands_beside_them_and_gets_no_token(tmp_path: Path) -> None:
    async with serving(Target()) as target:
        line = "  eu: {kind: http_config, url: 'http://127.0.0.1:1', token: {file: token}}\n"
        providers = change_providers(settings_of(tmp_path, line, {"shop": target.url}))

        assert (await providers["http_config"].read("shop", "stable")).values == {"a": 1}

    assert target.tokens == []


async def test_a_redirect_is_not_followed_so_that_the_token_stays_with_its_system(tmp_path: Path) -> None:
    async with serving(Target()) as elsewhere:
        redirect = Target("307 Temporary Redirect", "", f"Location: {elsewhere.url}/config")
        async with serving(redirect) as target:
            with pytest.raises(Unavailable, match="HTTP 307"):
                await listed(tmp_path, target)["http_config"].read("eu", "stable")

    assert elsewhere.requests == []


async def test_a_target_that_tells_the_token_back_is_masked(tmp_path: Path) -> None:
    async with serving(Target("401 Unauthorized", "who is {asked}?")) as target:
        with pytest.raises(InvalidInput) as caught:
            await listed(tmp_path, target)["http_config"].read("eu", "stable")

    assert "Bearer •••" in str(caught.value)
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("token", ["line\nline", "schlüssel"])
async def test_what_can_be_no_token_is_refused_without_being_told(tmp_path: Path, token: str) -> None:
    provider = HttpConfigProvider({"eu": "http://127.0.0.1:1"}, token=lambda _: token)

    with pytest.raises(InvalidInput, match="the token of endpoint 'eu' has characters") as caught:
        await provider.read("eu", "stable")

    assert token not in str(caught.value)


async def test_a_token_that_is_missing_is_told_with_its_file(tmp_path: Path) -> None:
    async with serving(Target()) as target:
        provider = listed(tmp_path, target)["http_config"]
        (tmp_path / "token").unlink()

        with pytest.raises(InvalidInput, match=f"the secret file {tmp_path}/token cannot be read"):
            await provider.read("eu", "stable")

    assert target.requests == []


@pytest.mark.parametrize(
    "system",
    ["{kind: http_config, url: 'http://x'}", "{kind: gitlab, url: 'http://x', project: p, token: {env: T}}"],
)
def test_a_name_in_both_places_is_refused_naming_both(tmp_path: Path, system: str) -> None:
    settings = settings_of(tmp_path, f"  shop: {system}\n", {"shop": "http://127.0.0.1:1"})

    with pytest.raises(InvalidInput, match=f"'shop' is in HOLDFAST_ENDPOINTS and in {tmp_path}/systems.yaml"):
        change_providers(settings)


def test_a_wrong_systems_file_stops_a_worker_at_its_start(tmp_path: Path) -> None:
    with pytest.raises(RunbookInvalid, match=r"systems\.yaml:2: systems\.eu\.kind: unknown kind 'x'"):
        change_providers(settings_of(tmp_path, "  eu: {kind: x}\n"))


async def test_every_kind_has_a_provider_that_lists_the_names_that_it_knows(tmp_path: Path) -> None:
    providers = change_providers(settings_of(tmp_path))

    assert set(providers) == set(CHANGE_PROVIDERS)
    for kind, provider in providers.items():
        part = {"http_config": "stable", "canary_share": "share"}.get(kind, "all")
        with pytest.raises(InvalidInput, match=r"unknown .* 'nothing'; known: none"):
            await provider.read("nothing", part)
