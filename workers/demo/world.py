"""What a person at this machine could see and do: read metrics, press buttons, read the configuration."""

import asyncio
import base64
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any, Self

import httpx

from holdfast.adapters.prometheus import PrometheusMetrics
from holdfast.adapters.temporal.runs import TemporalRuns
from holdfast.domain.errors import HoldfastError, MetricsUnavailable
from workers import wiring
from workers.demo.stack import CHAT_ID, Stack
from workers.demo.systems import ShopSystems
from workers.settings import Settings

_RATE = "[10s]"
_DURATIONS = f"sum by (le) (rate(shop_request_duration_seconds_bucket{_RATE}))"
_GOLD = 'sum by (le) (rate(shop_escalation_wait_seconds_bucket{tier="gold"}[20s]))'
QUERIES = {
    "latency_p95_s": f"histogram_quantile(0.95, {_DURATIONS})",
    "errors_percent": (
        f'100 * (sum(rate(shop_requests_total{{status=~"5.."}}{_RATE})) or vector(0))'
        f" / sum(rate(shop_requests_total{_RATE}))"
    ),
    "abandoned_per_s": f"sum(rate(shop_checkouts_abandoned_total{_RATE}))",
    "bot_429_per_s": f'sum(rate(shop_bot_sends_total{{result="429"}}{_RATE}))',
    "delivered_per_s": f"sum(rate(shop_messages_delivered_total{_RATE}))",
    "gold_wait_s": f"histogram_quantile(0.5, {_GOLD})",
    "escalations_waiting": "sum(shop_escalations_waiting)",
    "crm_p95_s": f"histogram_quantile(0.95, sum by (le) (rate(shop_crm_call_duration_seconds_bucket{_RATE})))",
    "requests_per_s": f"sum(rate(shop_requests_total{_RATE}))",
}


class World:
    """The demo's system, through its own public doors only."""

    def __init__(self, stack: Stack) -> None:
        """Look at this stack."""
        self.stack = stack
        ports = stack.ports
        self._telegram = f"http://127.0.0.1:{ports.telegram}"
        self._shop = f"http://127.0.0.1:{ports.shop}"
        self._ci = f"http://127.0.0.1:{ports.ci}"
        self._customers = f"http://127.0.0.1:{ports.customers}"
        self._ui = f"http://127.0.0.1:{ports.ui}"
        self._http = httpx.AsyncClient(timeout=20, trust_env=False)
        self._metrics = PrometheusMetrics(f"http://127.0.0.1:{ports.prometheus}")
        self.runs: TemporalRuns = wiring.runs(
            Settings(temporal_address=f"127.0.0.1:{ports.temporal}", _env_file=None)  # type: ignore[call-arg]  # pydantic-settings' own argument
        )

    async def __aenter__(self) -> Self:
        """Lend the world; its connections are closed at the end."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        await self._http.aclose()
        await self._metrics.aclose()

    async def numbers(self) -> dict[str, float | None]:
        """Return the newest number of each of `QUERIES`; None where there is none yet."""
        now = datetime.now(UTC)
        try:
            return {name: await self._metrics.instant(query, at=now) for name, query in QUERIES.items()}
        except MetricsUnavailable:
            return dict.fromkeys(QUERIES)

    async def command(self, *words: str) -> tuple[int, str]:
        """Run a `holdfast` command against this stack; return its exit code and what it printed."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "workers.cli",
            *words,
            env={**os.environ, **self.stack.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        out, err = await process.communicate()
        return process.returncode or 0, (out or err).decode()

    async def set_rate(self, per_second: float) -> None:
        """Change how many customers come."""
        await self._put(f"{self._customers}/rate", {"per_second": per_second})

    async def config(self) -> dict[str, Any]:
        """Return the shop's whole configuration."""
        return await self._get(f"{self._shop}/config")

    async def configure(self, **settings: object) -> None:
        """Change some settings of both sides of the shop, as its own people would."""
        for side in ("stable", "canary"):
            state = await self.config()
            body = {"settings": {**state[side], **settings}, "expected_version": state["version"]}
            await self._put(f"{self._shop}/config/{side}", {**body, "key": f"by-hand-{side}"})

    async def config_log(self) -> list[dict[str, Any]]:
        """Return the shop's own audit trail of configuration changes."""
        log: list[dict[str, Any]] = (await self._http.get(f"{self._shop}/config/log")).json()
        return log

    @property
    def systems(self) -> ShopSystems:
        """The shop's other systems; raises HoldfastError for a stack without them."""
        if self.stack.systems is None:
            raise HoldfastError("this stack was made without systems=True")
        return self.stack.systems

    async def ci(self, what: str) -> dict[str, Any]:
        """Return what the CI system's own people see: `deployed` by part, or `effects` by key."""
        return await self._get(f"{self._ci}/_ci/{what}")

    async def say(self, user: int, text: str, *, chat: int = CHAT_ID) -> None:
        """Type a message into the incidents chat as somebody, or into the private chat with the bot."""
        await self._post(f"{self._telegram}/human/send", {"user": user, "chat": chat, "text": text})

    async def press(self, user: int, message_id: int, callback_data: str, *, chat: int = CHAT_ID) -> str:
        """Press a button as somebody; return what the chat tells that person, or that nothing was told."""
        body = {"user": user, "chat": chat, "message_id": message_id, "button": callback_data}
        answer = await self._post(f"{self._telegram}/human/press", body)
        return str(answer["text"] if answer["answered"] else answer["reason"])

    async def messages(self, chat: int = CHAT_ID) -> list[dict[str, Any]]:
        """Return a chat, oldest first; a person's private chat with the bot has the person's id."""
        shown = await self._get(f"{self._telegram}/human/messages", chat=chat)
        messages: list[dict[str, Any]] = shown["messages"]
        return messages

    async def sent(self) -> dict[str, Any]:
        """Return what the chat's own people know of the bot's messages: calls, 429s, copies."""
        return await self._get(f"{self._telegram}/human/log")

    def run_url(self, run_id: str) -> str:
        """Return the address of a run's page in the Temporal UI."""
        return f"{self._ui}/namespaces/default/workflows/{run_id}"

    async def update_in_ui(self, run_id: str, name: str, pasted: str) -> dict[str, Any]:
        """Send an Update with this JSON, exactly as the Temporal UI's dialog does."""
        url = f"{self._ui}/api/v1/namespaces/default/workflows/{run_id}/update/{name}"
        request = {"meta": {"updateId": ""}, "input": {"args": {"payloads": [_payload(pasted)]}}}
        await self._http.get(
            self._ui
        )  # the page that the browser has open; its cookie is sent back as a header
        headers = {
            "Content-Type": "text/plain;charset=UTF-8",
            "X-CSRF-TOKEN": self._http.cookies.get("_csrf") or "",
        }
        return _checked(await self._http.post(url, content=json.dumps({"request": request}), headers=headers))

    async def _get(self, url: str, **params: Any) -> dict[str, Any]:
        return _checked(await self._http.get(url, params=params))

    async def _post(self, url: str, body: dict[str, Any]) -> dict[str, Any]:
        return _checked(await self._http.post(url, json=body))

    async def _put(self, url: str, body: dict[str, Any]) -> dict[str, Any]:
        return _checked(await self._http.put(url, json=body))


def _checked(response: httpx.Response) -> dict[str, Any]:
    if response.is_error:
        raise HoldfastError(
            f"{response.request.method} {response.url} → {response.status_code}: {response.text}"
        )
    body: dict[str, Any] = response.json()
    return body


def _payload(text: str) -> dict[str, Any]:
    def encoded(data: str) -> str:
        return base64.b64encode(data.encode()).decode()

    return {"metadata": {"encoding": encoded("json/plain")}, "data": encoded(text)}
