"""The twenty pods, which of them are the canary's, and which one a request goes to."""

import asyncio
import contextlib
import random
from collections.abc import Mapping
from typing import Literal

from holdfast.sim.shop.configuration import ConfigState
from holdfast.sim.shop.message_log import MessageLog
from holdfast.sim.shop.metrics import ShopMetrics, SideSnapshot
from holdfast.sim.shop.pod import Pod
from holdfast.sim.shop.settings import DEFAULTS, PERCENT_A_POD, PODS, Side
from holdfast.sim.shop.workload import Workload
from holdfast.sim.tiers import TIERS

Route = Literal["faq", "ticket", "profile", "checkout"]
_SWEEP_SECONDS = 0.25
# Coprime to the number of pods: each route visits all pods in an order of its own.
_STRIDES: Mapping[Route, int] = {"faq": 1, "ticket": 3, "profile": 7, "checkout": 9}
_CANARY_STRIDE = 11


class Fleet:
    """All pods behind one balancer.

    The balancer goes round the pods, route by route, so every pod gets the same part of every kind of request,
    and the canary's part of the traffic is exactly its part of the pods.
    """

    def __init__(
        self,
        crm_url: str,
        metrics: ShopMetrics,
        workload: Workload,
        *,
        seed: int,
        messages: MessageLog | None = None,
    ) -> None:
        self._metrics = metrics
        self._share_percent = 0
        self._next: dict[Route, int] = dict.fromkeys(_STRIDES, 0)
        self.pods = [
            Pod(
                crm_url,
                side="stable",
                settings=DEFAULTS,
                metrics=metrics.sides["stable"],
                workload=workload,
                rng=random.Random(seed * 1000 + number),
                messages=messages,
            )
            for number in range(PODS)
        ]
        metrics.watch(self._look)

    def configure(self, state: ConfigState) -> None:
        """Put the configuration into effect on the running pods."""
        self._share_percent = state.canary_share_percent
        canaries = state.canary_share_percent // PERCENT_A_POD
        for number, pod in enumerate(self.pods):
            side: Side = "canary" if number * _CANARY_STRIDE % PODS < canaries else "stable"
            pod.join(side, getattr(state, side), self._metrics.sides[side])

    def route(self, route: Route) -> Pod:
        """Return the pod whose turn it is."""
        turn = self._next[route]
        self._next[route] = turn + 1
        return self.pods[turn * _STRIDES[route] % PODS]

    async def run(self) -> None:
        """Let the agents work and idle connections expire, until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                for pod in self.pods:
                    group.create_task(pod.desk.run())
                group.create_task(self._sweep())
        finally:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(*(pod.close() for pod in self.pods))

    async def _sweep(self) -> None:
        while True:
            for pod in self.pods:
                pod.pool.close_expired()
            await asyncio.sleep(_SWEEP_SECONDS)

    def _look(self) -> tuple[int, Mapping[Side, SideSnapshot]]:
        by_side: dict[Side, list[Pod]] = {"stable": [], "canary": []}
        for pod in self.pods:
            by_side[pod.side].append(pod)
        return self._share_percent, {side: _snapshot(pods) for side, pods in by_side.items() if pods}


def _snapshot(pods: list[Pod]) -> SideSnapshot:
    waiting = [pod.desk.waiting() for pod in pods]
    return SideSnapshot(
        pods=len(pods),
        memory_bytes=sum(pod.held_bytes for pod in pods),
        waiting={tier: sum(counts[tier] for counts in waiting) for tier in TIERS},
    )
