"""Asks the metrics backend everything that a campaign's watch needs at one moment."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from holdfast.domain.errors import InvalidInput, Unavailable
from holdfast.ports.metrics import MetricsSource
from holdfast.runbook.kinds.campaign import CampaignSpec
from holdfast.slo.baseline import Usual, baseline_step, usual
from holdfast.slo.evaluate import evaluate
from holdfast.slo.queries import Question, baseline_questions, by_query, questions
from holdfast.slo.status import Moment

_AT_ONCE: Final = 8


@dataclass
class Look:
    """What was seen at one moment.

    Attributes:
        moment: how everything stands.
        troubles: what could not be asked, one sentence each; those numbers are not known.
    """

    moment: Moment
    troubles: list[str] = field(default_factory=list[str])


class Watcher:
    """Looks at a campaign; keeps the KPIs' baselines for as long as the hour of the week is the same."""

    def __init__(self, spec: CampaignSpec, metrics: MetricsSource) -> None:
        self._spec, self._metrics = spec, metrics
        self._busy = asyncio.Semaphore(_AT_ONCE)
        self._hour: datetime | None = None
        self._baselines: dict[str, Usual] = {}

    async def look(self, at: datetime) -> Look:
        """Ask everything once.

        Raises:
            Unavailable: the backend does not answer.
        """
        spec, troubles = self._spec, list[str]()
        await self._learn(at, troubles)
        groups = by_query(questions(spec.contexts, window=spec.watch.interval))
        asked = await asyncio.gather(*(self._number(group, at, troubles) for group in groups.values()))
        answers = {
            question.key: answer
            for group, answer in zip(groups.values(), asked, strict=True)
            for question in group
        }
        return Look(evaluate(spec.contexts, answers, self._baselines, at), sorted(troubles))

    async def _learn(self, at: datetime, troubles: list[str]) -> None:
        hour = at.replace(minute=0, second=0, microsecond=0)
        if hour == self._hour:
            return
        groups = by_query(baseline_questions(self._spec.contexts, window=self._spec.watch.interval))
        learnt = await asyncio.gather(*(self._usual(group, at, troubles) for group in groups.values()))
        self._baselines = {
            question.key: past
            for group, past in zip(groups.values(), learnt, strict=True)
            for question in group
            if past is not None
        }
        self._hour = hour

    async def _number(self, group: Sequence[Question], at: datetime, troubles: list[str]) -> float | None:
        question = group[0]
        try:
            async with self._busy:
                return await self._metrics.instant(question.query, at=at)
        except InvalidInput as error:
            troubles.append(f"{question.key}: {error}")
        except Unavailable as error:
            if not question.costly:
                raise
            troubles.append(f"{question.key}: not known, {error}")
        return None

    async def _usual(self, group: Sequence[Question], at: datetime, troubles: list[str]) -> Usual | None:
        question, watch = group[0], self._spec.watch
        step = baseline_step(watch.baseline, interval=watch.interval)
        try:
            async with self._busy:
                points = await self._metrics.points(
                    question.query, start=at - watch.baseline, end=at, step=step
                )
        except (InvalidInput, Unavailable) as error:
            troubles.append(f"{question.key}: what is usual is not known, {error}")
            return None
        return usual(points, at=at)
