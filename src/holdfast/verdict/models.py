"""The scoring models by the name that a runbook file gives."""

from collections.abc import Callable

from holdfast.domain.errors import UnknownName
from holdfast.verdict.observation import Baseline, Observation, Verdict
from holdfast.verdict.settings import Scoring
from holdfast.verdict.weighted_seed import weighted_seed

Model = Callable[[Scoring, Baseline, Observation], Verdict]

MODELS: dict[str, Model] = {"weighted-seed": weighted_seed}


def model_named(name: str) -> Model:
    """Return the scoring model of that name.

    Raises:
        UnknownName: there is none; the text lists those there are.
    """
    if name not in MODELS:
        raise UnknownName("scoring model", name, MODELS)
    return MODELS[name]


def judge(scoring: Scoring, baseline: Baseline, observation: Observation) -> Verdict:
    """Judge one observation by the model that the scoring names."""
    return model_named(scoring.model)(scoring, baseline, observation)
