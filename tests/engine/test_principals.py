"""Who a server with sign-on says has sent a signal: one more proof on record beside the approval code."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from google.protobuf.json_format import MessageToDict
from pydantic import SecretStr
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from holdfast.adapters.temporal.conversion import DATA_CONVERTER
from holdfast.domain.decisions import Decision
from holdfast.ports.audit import AuditEntry, AuditKind
from tests import signing
from tests.engine.issuing import Issuer
from tests.engine.servers import PATIENCE_SECONDS, Server, serving
from tests.fakes import eventually
from tests.workflows.conftest import PEOPLE, House, Run, open_house
from workers.client import connect
from workers.engine import Engine
from workers.settings import SEARCH_ATTRIBUTES, Settings

WRITE = "default:write"
STAMPS = ("--dynamic-config-value", "frontend.enablePrincipalPropagation=true")
FORGED = {"temporal-principal-type": "jwt", "temporal-principal-name": "boris@example.com"}


@dataclass
class Site:
    """A server, workers that serve it, and who vouches for people."""

    server: Server
    house: House
    issuer: Issuer

    def bearer(self, name: str) -> str:
        return "Bearer " + self.issuer.token(f"{name}@example.com", WRITE)

    async def client(self, **more: Any) -> Client:
        return await Client.connect(f"127.0.0.1:{self.server.port}", data_converter=DATA_CONVERTER, **more)

    async def client_of(self, name: str) -> Client:
        return await self.client(rpc_metadata={"authorization": self.bearer(name)})

    async def asked(self) -> tuple[Run, dict[str, Any]]:
        """A run that waits at its gate, and what boris was sent to answer with."""
        run = await self.house.start(self.house.write())
        gate = await run.gate()
        return run, signing.pasted(signing.decision(run.handle.id, gate, "boris"))


async def decided(run: Run) -> Decision:
    """The decision that closed the run's first gate."""

    async def closed() -> Decision | None:
        gates = (await run.view()).closed_gates
        return gates[0].decisions[0] if gates else None

    decision = await eventually(closed)
    await run.handle.cancel()
    return decision


async def recorded(house: House, run: Run) -> AuditEntry | None:
    """What the audit log says of the decision."""
    of_run = [e for e in house.audit.entries if e.run == run.handle.id]
    return next((e for e in of_run if e.kind is AuditKind.DECISION), None)


@asynccontextmanager
async def site(
    engine: Engine, directory: Path, *, tokens: bool = True, stamps: bool = True
) -> AsyncIterator[Site]:
    (directory / "rollout").mkdir()
    (directory / "people.yaml").write_text(yaml.safe_dump(PEOPLE))
    issuer = Issuer()
    keys = ("--jwt-keys-uri", issuer.write_key_set(directory / "keys.json")) if tokens else ()
    arguments = (*keys, *(STAMPS if stamps else ()))
    async with serving(engine, search_attributes=SEARCH_ATTRIBUTES, arguments=arguments) as server:
        token = SecretStr(issuer.token("holdfast-worker", WRITE)) if tokens else None
        settings = Settings(temporal_address=f"127.0.0.1:{server.port}", temporal_token=token)
        async with open_house(await connect(settings), directory) as house:
            yield Site(server, house, issuer)


@pytest.fixture(scope="module")
async def sso(own_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """Everybody needs a token, and the server stamps its subject on what they send."""
    async with site(own_engine, tmp_path_factory.mktemp("sso")) as found:
        yield found


async def test_the_stamp_of_the_server_is_recorded_beside_the_code(sso: Site):
    run, answer = await sso.asked()
    boris = await sso.client_of("boris")
    await boris.get_workflow_handle(run.handle.id).signal("decide", answer)

    assert (await decided(run)).proofs == ("code", "principal jwt/boris@example.com")
    entry = await eventually(lambda: recorded(sso.house, run))
    assert "proof: code + principal jwt/boris@example.com" in entry.text
    assert entry.data["proofs"] == ["code", "principal jwt/boris@example.com"]


async def test_who_sends_the_code_of_another_is_recorded_under_the_own_name(sso: Site):
    """Nothing that senders write about themselves changes it: identity, headers, more fields in the message."""
    run, answer = await sso.asked()
    mallory = await sso.client(
        identity="boris@example.com", rpc_metadata={**FORGED, "authorization": sso.bearer("mallory")}
    )
    forged = {**answer, "principal": "jwt/boris@example.com", "channel": "temporal-ui"}
    await mallory.get_workflow_handle(run.handle.id).signal("decide", forged)

    assert (await decided(run)).proofs == ("code", "principal jwt/mallory@example.com")


async def test_a_principal_among_the_proofs_of_the_message_itself_breaks_its_code(sso: Site):
    run, answer = await sso.asked()
    mallory = await sso.client_of("mallory")
    forged = {**answer, "proofs": "code+principal jwt/boris@example.com"}
    await mallory.get_workflow_handle(run.handle.id).signal("decide", forged)

    async def refused() -> bool:
        return any("did not count" in line.text for line in (await run.view()).log)

    await eventually(refused)
    assert (await run.gate()).decisions == []
    await run.handle.cancel()


async def test_a_signal_through_the_ui_is_stamped_when_its_proxy_adds_the_users_token(sso: Site):
    run, answer = await sso.asked()
    [payload] = DATA_CONVERTER.payload_converter.to_payloads([answer])
    body = {"input": {"payloads": [MessageToDict(payload)]}, "identity": "vera@example.com"}
    ui = f"http://127.0.0.1:{sso.server.ui_port}/api/v1"
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS, headers={"authorization": sso.bearer("boris")}) as b:
        path = f"namespaces/default/workflows/{run.handle.id}/signal/decide"
        reply = await b.post(f"{ui}/{path}", json=body)
    assert reply.is_success, reply.text

    assert (await decided(run)).proofs == ("code", "principal jwt/boris@example.com")


async def test_without_a_token_or_with_that_of_another_issuer_nobody_gets_in(sso: Site):
    run, answer = await sso.asked()
    stranger = Issuer().token("boris@example.com", WRITE)
    for metadata in ({}, FORGED, {"authorization": f"Bearer {stranger}"}):
        client = await sso.client()
        client.rpc_metadata = metadata
        with pytest.raises(RPCError) as refusal:
            await client.get_workflow_handle(run.handle.id).signal("decide", answer)
        assert refusal.value.status is RPCStatusCode.PERMISSION_DENIED
    assert (await run.gate()).decisions == []
    await run.handle.cancel()


@pytest.mark.parametrize("lacks", ["tokens", "stamps"])
async def test_where_the_server_stamps_nothing_the_code_is_the_only_proof(
    own_engine: Engine, tmp_path: Path, lacks: str
):
    async with site(own_engine, tmp_path, **{lacks: False}) as plain:
        run, answer = await plain.asked()
        sender = await plain.client(
            identity="boris@example.com", rpc_metadata={**FORGED, "authorization": plain.bearer("boris")}
        )
        await sender.get_workflow_handle(run.handle.id).signal("decide", answer)
        assert (await decided(run)).proofs == ("code",)
