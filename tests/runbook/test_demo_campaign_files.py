"""The files that the demo's campaign is played from."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from holdfast.ports.runs import CampaignRequest, LoadRequest
from holdfast.runbook.campaigns import plan_campaign
from holdfast.runbook.library import RunbookLibrary
from holdfast.runbook.load_plan import plan_load
from workers.demo.campaign_files import CAMPAIGN, DEMO_RUNBOOKS, FIX, LOAD_TEST, PLANNED, write_campaign
from workers.demo.stack import CLIENT_CHAT_ID, ROOT

OPENS = datetime(2026, 12, 1, 12, tzinfo=UTC)


def library(directory: Path) -> RunbookLibrary:
    write_campaign(directory, opens=OPENS, closes=OPENS + timedelta(minutes=2), shop="http://127.0.0.1:1234")
    return RunbookLibrary([directory, DEMO_RUNBOOKS, ROOT / "runbooks"])


def test_the_demo_puts_its_window_and_its_chat_into_the_campaign(tmp_path: Path) -> None:
    plan = plan_campaign(library(tmp_path), CampaignRequest(runbook=CAMPAIGN, requested_by="anna"))
    assert (plan.opens, plan.closes) == (OPENS, OPENS + timedelta(minutes=2))
    assert plan.spec.client.telegram_chat == CLIENT_CHAT_ID


def test_the_demo_loads_its_own_shop_up_to_the_peak_of_its_campaign(tmp_path: Path) -> None:
    request = LoadRequest(runbook=LOAD_TEST, requested_by="anna", campaign=CAMPAIGN)
    plan = plan_load(library(tmp_path), request, now=OPENS - timedelta(minutes=1))
    assert {str(target.url) for target in plan.spec.targets.values()} == {"http://127.0.0.1:1234/"}
    assert plan.highest == plan.spec.peak.highest if plan.spec.peak else False


def test_only_the_fix_of_the_demo_may_pass_a_freeze(tmp_path: Path) -> None:
    rollouts = {name: library(tmp_path).rollout(name).spec for name in (FIX, PLANNED)}
    assert {name: spec.fix for name, spec in rollouts.items()} == {FIX: True, PLANNED: False}
