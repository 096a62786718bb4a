"""The scoring models by the name that a runbook file gives."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from holdfast.domain.errors import UnknownName
from holdfast.verdict.baseline import points_to_learn_from
from holdfast.verdict.observation import Baseline, Observation, Outcome, Verdict
from holdfast.verdict.settings import Scoring

if TYPE_CHECKING:
    from holdfast.verdict.minutes import Minutes


class Judge(Protocol):
    """Judges the newest of a share's observations, oldest first; the ones before are its memory."""

    def __call__(self, scoring: Scoring, baseline: Baseline, observations: Sequence[Observation]) -> Verdict:
        """Return the verdict at the last observation."""
        ...


class Replay(Protocol):
    """Judges each of a share's minutes by those up to it; the same outcomes as the judge's, faster."""

    def __call__(self, scoring: Scoring, baseline: Baseline, minutes: "Minutes") -> list[Outcome]:
        """Return one outcome a minute."""
        ...


@dataclass(frozen=True)
class Model:
    """A scoring model, loaded when it is first used: numpy costs a tenth of a second of a worker's start.

    Attributes:
        module: what holds its `verdict` and its `outcomes`.
        memory: for given settings, how many observations it needs to see to judge the newest.
    """

    module: str
    memory: Callable[[Scoring], int]

    @property
    def verdict(self) -> Judge:
        """What judges one minute, with its reasons."""
        judge: Judge = self._loaded().verdict
        return judge

    @property
    def outcomes(self) -> Replay:
        """What judges many minutes at once."""
        replay: Replay = self._loaded().outcomes
        return replay

    def _loaded(self) -> Any:
        return import_module(f"holdfast.verdict.{self.module}")


# A detector that learns from weeks begins with its baseline's newest points; the watch need not carry them all.
_LONGEST = 1_000


def _of_hysteresis(scoring: Scoring) -> int:
    """Say how far back hysteresis, silence and detectors that learn can reach."""
    detectors = [m.detector for m in scoring.metrics.values() if m.detector]
    learning = max((points_to_learn_from(d) for d in detectors), default=0)
    held = max(h.of * (h.clear_minutes + 1) for h in (scoring.hysteresis, *(d.hysteresis for d in detectors)))
    return min(max(2 * held + learning, 2 * scoring.attribution.silent_minutes), _LONGEST)


# Exchangeable, and all may judge the same minutes; which one decides is a line of the reviewed file and never
# switched by itself (docs/decisions/0008).
MODELS: dict[str, Model] = {
    "weighted-seed": Model("weighted_seed", lambda _: 1),
    "weighted": Model("weighted", _of_hysteresis),
    "judge": Model("judge", lambda scoring: scoring.judge.window_points),
    "attributed": Model("attributed", _of_hysteresis),
}


def model_named(name: str) -> Model:
    """Return the scoring model of that name.

    Raises:
        UnknownName: there is none; the text lists those there are.
    """
    if name not in MODELS:
        raise UnknownName("scoring model", name, MODELS)
    return MODELS[name]


def load_models() -> None:
    """Load what every model needs, so that none of its first verdicts has to wait for that."""
    for model in MODELS.values():
        _ = model.verdict


def memory_of(scoring: Scoring) -> int:
    """Say how many of the newest observations the deciding model and its shadows need."""
    return max(model_named(name).memory(scoring) for name in (scoring.model, *scoring.shadow))


def judge(
    scoring: Scoring, baseline: Baseline, observations: Sequence[Observation], *, model: str = ""
) -> Verdict:
    """Judge the newest observation by the named model, or by the one that decides."""
    return model_named(model or scoring.model).verdict(scoring, baseline, observations)
