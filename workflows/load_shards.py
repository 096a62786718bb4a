"""The shards of a load test: one a load worker, and whoever is free takes over what a dead one leaves.

What was due between a worker's death and the take-over is lost, and counted as lost; it is never sent late.
"""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

from workflows import load_calls, load_options
from workflows.board import Board
from workflows.calls import reason
from workflows.effects import ended

with workflow.unsafe.imports_passed_through():
    from activities.loading import MakeRequest, ReadyReport
    from holdfast.domain import run_phrases
    from holdfast.runbook.kinds.load import LoadSpec


@dataclass(frozen=True)
class Ready:
    """Who makes the test, the agreed start in seconds of the epoch, and why somebody must not make it."""

    workers: list[str]
    start_at: float
    refused: str = ""


async def agreed(board: Board, spec: LoadSpec) -> Ready:
    """Ask every load worker whether it is there, and agree the start by the latest of their clocks.

    Raises:
        ActivityError: nobody has heard of a load worker.
    """
    names = await load_calls.find_workers(board.view.run_id)
    answers = await asyncio.gather(*(_asked(board, name, spec) for name in names))
    refused = next((answer.refused for answer in answers if answer and answer.refused), "")
    willing = {n: a for n, a in zip(names, answers, strict=True) if a and not a.refused}
    ready = dict(_of_one_clock(board, willing))
    clocks = [answer.now for answer in ready.values()]
    return Ready(list(ready), max(clocks, default=0.0) + load_options.LEAD.total_seconds(), refused)


def _of_one_clock(board: Board, answers: Mapping[str, ReadyReport]) -> Iterator[tuple[str, ReadyReport]]:
    """Yield those whose clock goes with that of the worker which is nearest to the server's."""
    right = min((answer.ahead for answer in answers.values()), key=abs, default=0.0)
    for name, answer in answers.items():
        differs = abs(answer.ahead - right)
        if differs <= load_options.MOST_CLOCK_SECONDS:
            yield name, answer
        else:
            board.show(say=run_phrases.LOAD_CLOCK.format(name=name, n=f"{differs:.1f}"), quietly=True)


async def _asked(board: Board, name: str, spec: LoadSpec) -> ReadyReport | None:
    try:
        answer = await load_calls.ask(name, spec)
    except ActivityError:
        board.show(say=run_phrases.LOAD_SILENT.format(name=name), quietly=True)
        return None
    if answer.refused:
        board.show(say=run_phrases.LOAD_REFUSED.format(name=name, why=answer.refused), quietly=True)
    return answer


class Shards:
    """The shards of one test.

    Attributes:
        failed: why a share is made by nobody, where one is not.
    """

    def __init__(self, board: Board, spec: LoadSpec, ready: Ready) -> None:
        self._board, self._spec, self._ready = board, spec, ready
        self.failed = ""

    async def made(self) -> None:
        """Make all of them to their end; cancelled, nothing is sent any more when this has ended."""
        tasks = [asyncio.create_task(self._made(number)) for number in range(len(self._ready.workers))]
        try:
            await workflow.wait(tasks)
        except asyncio.CancelledError:
            for task in tasks:
                task.cancel()
            for task in tasks:
                await ended(task)
            raise
        for task in tasks:
            task.result()

    async def _made(self, number: int) -> None:
        worker, shards = self._ready.workers[number], len(self._ready.workers)
        for attempt in range(1, load_options.MOST_ATTEMPTS + 1):
            request = MakeRequest(
                run=self._board.view.run_id,
                spec=self._spec,
                shard=number,
                shards=shards,
                start_at=self._ready.start_at,
                attempt=attempt,
            )
            try:
                await load_calls.make(request, worker=worker if attempt == 1 else "")
            except ActivityError as error:
                if _is_final(error):
                    self._give_up(number, reason(error))
                    return
            else:
                return
            self._board.show(say=run_phrases.LOAD_TAKEN_OVER.format(n=number + 1))
        self._give_up(number, run_phrases.LOAD_WORKERS_DIE)

    def _give_up(self, number: int, why: str) -> None:
        self.failed = why
        self._board.show(say=run_phrases.LOAD_GIVEN_UP.format(n=number + 1, why=why))


def _is_final(error: ActivityError) -> bool:
    """Whether nobody else could make this share, either."""
    return isinstance(error.cause, ApplicationError) and error.cause.non_retryable
