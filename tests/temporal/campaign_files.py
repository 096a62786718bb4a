"""Campaigns with a schedule, as files."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from holdfast.runbook.kinds.campaign import CampaignSpec
from holdfast.runbook.library import RunbookLibrary

PEOPLE = {
    "people": [
        {"name": "anna", "title": "Anna", "roles": ["oncall"]},
        {"name": "boris", "title": "Boris", "roles": ["lead"]},
        {"name": "gleb", "title": "Gleb", "roles": ["guest"]},
    ]
}


def campaign(
    name: str = "sale", *, opens: str = "", zone: str = "Europe/Moscow", **schedule: Any
) -> dict[str, Any]:
    """A campaign in ten days, whose tests last 12 minutes and begin each night at 02:30 on its clock."""
    opening = datetime.fromisoformat(opens) if opens else datetime.now(UTC) + timedelta(days=10)
    promise = {"promise": "Tickets", "objective_percent": 99, "bad": "b[$window]", "total": "t[$window]"}
    return {
        "kind": "campaign",
        "name": name,
        "title": "Autumn sale",
        "summary": "A sale.",
        "starters": ["oncall"],
        "owner": "lead",
        "client": {"title": "Retail", "time_zone": zone},
        "window": {"opens": opening.isoformat(), "closes": (opening + timedelta(days=3)).isoformat()},
        "load_test": {
            "runbook": "journeys",
            "peak": {"expected_peak": 40, "each": "3m"},
            "schedule": {"cron": "30 2 * * *", "begins": "14d", "ends": "1d", **schedule},
            "failed": {"approvers": ["lead"]},
            "limits": "Half.",
        },
        "sign_off": {"approvers": ["lead"]},
        "contexts": {"support": {"title": "Support", "slos": {"tickets": promise}}},
        "response": {
            "incident": "any",
            "roles": {"commander": {"title": "leads", "candidates": ["lead"]}},
        },
    }


def spec_of(**changes: Any) -> CampaignSpec:
    return CampaignSpec.model_validate(campaign(**changes))


def library(directory: Path, *campaigns: dict[str, Any]) -> RunbookLibrary:
    """Write these campaigns, and who is who."""
    (directory / "campaign").mkdir(exist_ok=True)
    (directory / "people.yaml").write_text(yaml.safe_dump(PEOPLE))
    for each in campaigns:
        (directory / "campaign" / f"{each['name']}.yaml").write_text(yaml.safe_dump(each, sort_keys=False))
    return RunbookLibrary([directory])
