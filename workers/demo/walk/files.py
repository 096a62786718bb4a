"""The runbooks of a walk: the shipped ones, shorter, in the language of the team that reads them."""

from pathlib import Path
from typing import Any, Final

import yaml

from workers.demo.stack import ROOT

RUNBOOK: Final = "crm-relief"
_HERE: Final = Path(__file__).parent


def words(language: str) -> dict[str, Any]:
    """Return what the team has written in its language."""
    loaded: dict[str, Any] = yaml.safe_load((_HERE / f"{language}.yaml").read_text())
    return loaded


def write_runbooks(directory: Path, language: str) -> Path:
    """Write the walk's runbooks below a directory, and return it; the rest are the shipped ones."""
    said = words(language)
    for name, content in {
        "people.yaml": _people(said["people"], language),
        "escalation/duty.yaml": _duty(said["rotas"]),
        f"rollout/{RUNBOOK}.yaml": _rollout(said["rollout"]),
        "incident/customer-impact.yaml": _shipped("incident/customer-impact.yaml") | said["incident"],
    }.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
    return directory


def _people(titles: dict[str, str], language: str) -> dict[str, Any]:
    people = _shipped("people.yaml")["people"]
    return {"people": [p | {"title": titles.get(p["name"], p["title"]), "language": language} for p in people]}


def _duty(titles: dict[str, str]) -> dict[str, Any]:
    rotas = _shipped("escalation/duty.yaml")["rotas"]
    return {"rotas": {name: rota | {"title": titles.get(name, rota["title"])} for name, rota in rotas.items()}}


def _rollout(said: dict[str, Any]) -> dict[str, Any]:
    """Return two stages on production, where each answer needs a code."""
    spec = _shipped("rollout/support-surge.yaml")
    stages = [
        stage | said["stages"][stage["name"]] | {"shares_percent": [25, 100]}
        for stage in spec["stages"]
        if stage["name"] in said["stages"]
    ]
    target = {"endpoint": spec["target"]["endpoint"]}
    named = {"name": RUNBOOK, "title": said["title"], "summary": said["summary"]}
    return spec | named | {"target": target, "stages": stages}


def _shipped(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "runbooks" / name).read_text())
    return loaded
