"""The role `holdfast web`, as it is started."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import yaml

from holdfast.domain.errors import InvalidInput
from holdfast.domain.links import WebLinks
from tests.fakes import eventually
from tests.web.fakes import PEOPLE, RUN, a_gate
from workers.processes import free_port
from workers.secrets import keyring
from workers.settings import Settings
from workers.web import run_web


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "people.yaml").write_text(yaml.safe_dump(PEOPLE.model_dump(mode="json", by_alias=True)))
    port = free_port()
    return Settings(
        runbook_dirs=(tmp_path,),
        state_dir=tmp_path / "var",
        temporal_address=f"127.0.0.1:{free_port()}",
        web_port=port,
        web_url=f"http://127.0.0.1:{port}",
    )


async def test_it_serves_until_it_is_told_to_stop(settings: Settings) -> None:
    serving = asyncio.create_task(run_web(settings))
    async with httpx.AsyncClient(base_url=settings.web_url) as client:

        async def healthy() -> bool:
            if serving.done():
                await serving
            with suppress(httpx.TransportError):
                return (await client.get("/healthz")).text == "ok\n"
            return False

        await eventually(healthy)
        assert (await client.get("/g/forged")).status_code == 403
        link = WebLinks(keyring(settings), settings.web_url).link(RUN, a_gate(), "olga", datetime.now(UTC))
        answer = await client.get(link)  # no engine is there in this test
        assert answer.status_code == 503
        assert "Nothing was recorded" in answer.text
        assert "Send me a link" in (await client.get(f"/reports/{RUN}")).text
        link = WebLinks(keyring(settings), settings.web_url).report(RUN, "olga", datetime.now(UTC))
        assert "unknown kept campaign" in (await client.get(link)).text  # the database has none
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    async with httpx.AsyncClient() as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(f"{settings.web_url}/healthz")


async def test_a_port_that_is_taken_is_told_in_words(settings: Settings) -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", settings.web_port)
    with pytest.raises(InvalidInput, match="HOLDFAST_WEB_PORT"):
        await run_web(settings)
    server.close()
    await server.wait_closed()
