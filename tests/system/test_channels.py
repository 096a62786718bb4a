"""A production gate that three people pass through three channels, each with an authenticator app."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pyotp
import pytest
import yaml
from temporalio.client import Client

from holdfast.domain.gates import Gate
from holdfast.domain.links import WebLinks
from holdfast.domain.proofs import Keyring
from tests.fakes import eventually
from tests.system.taps import start
from workers.demo.stack import Ports, Stack
from workers.demo.story import ANNA, BORIS, GLEB, VERA
from workers.demo.world import World
from workers.engine import Engine, find_prometheus

RUNBOOKS = Path(__file__).parent / "runbooks"
GATE = {"steps": [{"all_of": [name]} for name in ("sre-lead", "crm-owner", "support-head")]}


@pytest.fixture
def stack(engine: Engine, tmp_path: Path) -> Iterator[Stack]:
    """The whole system with the web page, and a production runbook of one stage with three signatures."""
    runbooks = tmp_path / "runbooks"
    (runbooks / "rollout").mkdir(parents=True)
    (runbooks / "people.yaml").write_text((RUNBOOKS / "people.yaml").read_text())
    spec = yaml.safe_load((RUNBOOKS / "rollout/support-surge.yaml").read_text())
    spec |= {
        "name": "signatures",
        "target": {"endpoint": "shop"},
        "stages": [spec["stages"][0] | {"gate": GATE}],
    }
    (runbooks / "rollout/signatures.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))
    stack = Stack(
        tmp_path / "stack",
        Ports.pick(familiar=False),
        engine=engine,
        prometheus=find_prometheus(),
        scrape_seconds=1,
        pace="rehearsal",
        runbook_dirs=(runbooks,),
        rate=15,
        web=True,
    )
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()


class Approver:
    """Somebody with a phone: a private chat with the bot, and an authenticator app."""

    def __init__(self, world: World, user: int) -> None:
        self.world, self.user = world, user
        self.app = pyotp.TOTP(pyotp.random_base32())
        self.used: list[str] = []

    async def say(self, text: str) -> None:
        await self.world.say(self.user, text, chat=self.user)

    async def read(self, pattern: str) -> str:
        """Wait for a message in the private chat that matches, and return what the group in it matched."""

        async def found() -> str | None:
            for message in reversed(await self.world.messages(self.user)):
                text = str(message.get("text") or message.get("caption") or "")
                if match := re.search(pattern, text, flags=re.DOTALL):
                    return match[1] if match.groups() else match[0]
            return None

        return str(await eventually(found, seconds=60, every=0.2))

    async def button(self, prefix: str) -> tuple[int, str]:
        """Wait for a button in the private chat whose data begins so."""

        async def found() -> tuple[int, str] | None:
            for message in reversed(await self.world.messages(self.user)):
                for row in message.get("reply_markup", {}).get("inline_keyboard", []):
                    for button in row:
                        if str(button.get("callback_data", "")).startswith(prefix):
                            return int(message["message_id"]), str(button["callback_data"])
            return None

        result: tuple[int, str] = await eventually(found, seconds=60, every=0.2)
        return result

    async def enrol(self) -> None:
        await self.say("/enrol")
        self.app = pyotp.TOTP((await self.read(r"\b((?:[A-Z2-7]{4} ?){4,8})\b")).replace(" ", ""))
        await self.say(self.code())
        await self.read("(?i)authenticator.*(?:set up|enrolled|works|confirmed)")

    def code(self) -> str:
        """A code that was not used before: each time step has one, and the next one is good already."""
        self.used.append(self.app.at(datetime.now(UTC), counter_offset=len(self.used)))
        return self.used[-1]


def command(stack: Stack, *tokens: str, piped: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "workers.cli", *tokens],
        env={**os.environ, **stack.environment},
        input=piped,
        capture_output=True,
        text=True,
        check=False,
    )


async def by_telegram(boris: Approver, run_id: str) -> None:
    message, data = await boris.button(f"a:{run_id}:")
    told = await boris.world.press(boris.user, message, data, chat=boris.user)
    assert "authenticator" in told or told.startswith("⏳")  # on a busy machine the message comes later
    await boris.read("6 digits of your authenticator app for")
    await boris.say(boris.code())
    await boris.read("Recorded")


async def by_command_line(vera: Approver, stack: Stack, run_id: str) -> None:
    forged = json.dumps({"gate": "1-bot-rate-limit", "decision": "approve", "by": "vera", "code": "AAAA"})
    refused = await asyncio.to_thread(
        command, stack, "gate", "approve", run_id, "--as", "vera", "--paste", "-", piped=forged
    )
    assert refused.returncode != 0
    await vera.say(f"/code {run_id} approve")
    await vera.read("6 digits of your authenticator app for")
    await vera.say(vera.code())
    pasted = await vera.read(r'(\{.*"code".*\})')
    done = await asyncio.to_thread(
        command, stack, "gate", "approve", run_id, "--as", "vera", "--paste", "-", piped=pasted
    )
    assert (done.returncode, "Recorded" in done.stdout + done.stderr) == (0, True), done


async def by_web(gleb: Approver, stack: Stack, run_id: str, gate: Gate) -> None:
    key = (stack.directory / "state" / "secret.key").read_text().strip()
    link = WebLinks(Keyring([key]), stack.web_page).link(run_id, gate, "gleb", datetime.now(UTC))
    async with httpx.AsyncClient(trust_env=False, timeout=20) as browser:
        page = (await browser.get(link)).text
        assert "bot_rate_limit_per_s" in page
        hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page))
        wrong = await browser.post(link, data={**hidden, "say": "approve", "code": "000000"})
        assert "code" in wrong.text.lower()
        hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', wrong.text)) or hidden
        answer = await browser.post(link, data={**hidden, "say": "approve", "code": gleb.code()})
    assert "Recorded" in answer.text, answer.text


async def closed(world: World, run_id: str) -> list[dict[str, Any]]:
    view = await world.runs.view(run_id)
    return [d.model_dump(mode="json") for gate in view.closed_gates for d in gate.decisions]


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_three_people_sign_through_three_channels_and_the_record_proves_it(stack: Stack) -> None:
    async with World(stack) as world:
        people = {name: Approver(world, user) for name, user in (("b", BORIS), ("v", VERA), ("g", GLEB))}
        await asyncio.gather(*(person.enrol() for person in people.values()))
        await start(world, ANNA, "anna", "/rollout signatures")

        async def open_gate() -> tuple[str, Gate] | None:
            runs = await world.runs.recent()
            gate = (await world.runs.view(runs[0].run_id)).gate if runs else None
            return (runs[0].run_id, gate) if gate else None

        run_id, gate = await eventually(open_gate, seconds=60, every=0.3)
        assert gate.mfa
        await by_telegram(people["b"], run_id)
        await by_command_line(people["v"], stack, run_id)
        await by_web(people["g"], stack, run_id, gate)

        decisions = await eventually(lambda: closed(world, run_id), seconds=60)
        assert [(d["by"], d["channel"], d["proofs"]) for d in decisions] == [
            ("boris", "telegram", ["telegram", "totp"]),
            ("vera", "cli", ["code", "totp"]),
            ("gleb", "web", ["web-link", "totp"]),
        ]
        await _is_on_record(stack, run_id, people.values())


async def _is_on_record(stack: Stack, run_id: str, people: Any) -> None:
    verified = await asyncio.to_thread(command, stack, "audit", "verify", "--json")
    assert (verified.returncode, json.loads(verified.stdout)["broken_at"]) == (0, None)
    exported = (await asyncio.to_thread(command, stack, "audit", "export", "--run", run_id)).stdout
    kinds = [json.loads(line)["kind"] for line in exported.splitlines()]
    assert kinds.count("decision") == 3
    assert {"request", "closing", "code"} <= set(kinds)
    await _nothing_is_given_away(stack, run_id, people, exported)


async def _nothing_is_given_away(stack: Stack, run_id: str, people: Any, exported: str) -> None:
    """Neither the history, nor the record, nor a log holds a code of an authenticator app or its secret."""
    client = await Client.connect(f"127.0.0.1:{stack.ports.temporal}")
    history = [event async for event in client.get_workflow_handle(run_id).fetch_history_events()]
    logs = [path.read_bytes() for path in (stack.directory / "logs").glob("*.log")]
    kept = b"\n".join([exported.encode(), *logs, *(event.SerializeToString() for event in history)])
    for person in people:
        assert len(person.used) == 2
        assert person.app.secret.encode() not in kept
        for code in person.used:
            assert not re.search(rb"(?<!\d)%s(?!\d)" % code.encode(), kept), "a code is kept in clear"
