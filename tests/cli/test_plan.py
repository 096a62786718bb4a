"""`holdfast plan` over systems in memory, and over a real shop and a real database."""

import json
import re
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from cyclopts import App, Parameter

from holdfast.apps.cli.plan import PlanDeps, add_plan
from holdfast.apps.cli.plan_ahead import Ahead
from holdfast.domain.errors import ChangeFailed, InvalidInput, Unavailable
from holdfast.domain.journal import Effect, TargetState, Write
from holdfast.runbook.library import RunbookLibrary
from tests.alembic_provider.conftest import StubProgress
from tests.alembic_provider.revision_scripts import SHOP, RevisionScripts
from tests.cli.conftest import Told, told_by
from tests.fakes import Metrics, Systems, Targets
from tests.http_config.conftest import shop_process
from workers.planning import plan_command
from workers.settings import Settings

PEOPLE: dict[str, Any] = {
    "people": [
        {"name": "anna", "title": "Anna (on call)", "roles": ["oncall"]},
        {"name": "boris", "title": "Boris (SRE lead)", "roles": ["lead"]},
        {"name": "vera", "title": "Vera (DBA)", "roles": ["dba"]},
    ]
}
CI = {"url": "https://ci.example", "token": {"env": "CI_TOKEN"}}
SYSTEMS: dict[str, Any] = {
    "systems": {
        "shop-ci": {"kind": "gitlab", "project": "shop/bot", **CI},
        "tickets-db": {"kind": "alembic", "url": {"env": "TICKETS_URL"}, "scripts": "migrations"},
        "warm-cache": {"kind": "command", "run": ["a"], "revert": ["b"], "state": ["c"], "done": "on"},
    }
}
METRICS: dict[str, Any] = {
    "latency_p95": {"weight_percent": 100, "query": "shop:latency:$side", "threshold": {"points": 1}}
}
LIMIT: dict[str, Any] = {"kind": "http_config", "set": {"limit": 25}}
DEPLOY: dict[str, Any] = {"kind": "gitlab", "system": "shop-ci", "version": "1.5.0", "apply_for": "20m"}
MIGRATE: dict[str, Any] = {"kind": "alembic", "system": "tickets-db", "revision": "0007"}
CACHE: dict[str, Any] = {"kind": "command", "system": "warm-cache", "when": "after"}


def stage(name: str, *changes: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "title": f"Do {name}",
        "why": "It hurts.",
        "changes": list(changes),
        "gate": {"approvers": ["lead"]},
        **more,
    }


class House:
    """Reviewed files and what they are about."""

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.directory = directory
        self.targets, self.systems, self.metrics = Targets(), Databases(), Metrics()
        self._capsys = capsys
        self.metrics.values["shop:traffic:stable"] = 10.0
        self.write("people.yaml", PEOPLE)
        self.write("systems.yaml", SYSTEMS)

    def write(self, name: str, data: dict[str, Any]) -> Path:
        path = self.directory / name
        path.write_text(json.dumps(data, indent=1))
        return path

    def runbook(self, *stages: dict[str, Any], at: str = "surge.yaml", **more: Any) -> Path:
        file = {
            "kind": "rollout",
            "name": Path(at).stem,
            "title": "Relieve a surge",
            "summary": "It hurts.",
            "target": {"endpoint": "shop"},
            "starters": ["oncall"],
            "paces": {
                "default": {"settle": "2m", "window": "10m", "interval": "1m"},
                "slow": {"settle": "2m", "window": "1h", "interval": "2m"},
            },
            "scoring": {"traffic": "shop:traffic:$side", "metrics": METRICS},
            "stages": list(stages),
            **more,
        }
        return self.write(at, file)

    def plan(self, *tokens: str | Path, deps: PlanDeps | None = None) -> Told:
        app = App(name="holdfast", help_format="plaintext", default_parameter=Parameter(negative=()))
        add_plan(app, deps or self.deps())
        return told_by(app, ["plan", *tokens], self._capsys)

    def writes(self) -> int:
        """Return how often anything was written, or begun."""
        audits = sum(len(target.audit) for target in self.targets.targets.values())
        return audits + sum(len(keys) for keys in self.systems.begun.values())

    def deps(self) -> PlanDeps:
        @asynccontextmanager
        async def metrics() -> AsyncGenerator[Metrics]:
            yield self.metrics

        settings = dict.fromkeys(("http_config", "canary_share"), self.targets)
        return PlanDeps(
            library=lambda: RunbookLibrary([self.directory]),
            providers=lambda: {**settings, **dict.fromkeys(("gitlab", "alembic", "command"), self.systems)},
            metrics=metrics,
        )


class Databases(Systems):
    """Systems that fail to be read by name, and count dry runs."""

    def __init__(self) -> None:
        super().__init__()
        self.unreadable: dict[str, str] = {}
        self.failing_dry_runs: set[str] = set()
        self.dry_runs: list[str] = []
        self.states["tickets-db", "all"] = {"revision": "0006", "fingerprint": "aaaa"}

    async def read(self, endpoint: str, part: str) -> TargetState:
        if endpoint in self.unreadable:
            raise InvalidInput(self.unreadable[endpoint])
        return await super().read(endpoint, part)

    async def foresee(self, effect: Effect, state: TargetState) -> dict[str, Any]:
        if effect.kind != "alembic":
            return await super().foresee(effect, state)
        self.dry_runs.append(effect.values["revision"])
        if effect.values["revision"] in self.failing_dry_runs:
            raise InvalidInput("revision 0007 has no downgrade")
        return {**effect.values, "fingerprint": "bbbb"}


class CountedTargets(Targets):
    def __init__(self) -> None:
        super().__init__()
        self.reads = 0

    async def read(self, endpoint: str, part: str) -> TargetState:
        self.reads += 1
        return await super().read(endpoint, part)


@pytest.fixture
def house(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> House:
    return House(tmp_path, capsys)


def words(told: Told) -> str:
    """Return what was said as one line, however it was wrapped."""
    return " ".join(told.out.split())


def changes(told: Told, number: int = 1) -> list[str]:
    """Return the numbered lines of a stage, their columns separated by one blank."""
    text = told.out.split(f"\nStage {number},")[1].split("\nStage ")[0]
    block = re.split(r"\n  Watched", text.split("  Changes ")[1])[0]
    return [" ".join(line.split()) for line in re.split(r"\n +(?=\d+  \w)", block)]


# --- what is shown ------------------------------------------------------------------------------------------


def test_every_effect_is_one_line_in_the_order_in_which_it_would_happen(house: House) -> None:
    house.runbook(stage("all-of-it", MIGRATE, LIMIT, DEPLOY, CACHE))

    told = house.plan("surge")

    assert told.code == 0, told
    assert changes(told) == [
        "1 tickets-db revision 0006 → 0007",
        "2 shop/canary limit: 8 → 25",
        "3 shop-ci/canary 1.4.2 → 1.5.0",
        "4 shop canary share 0 → 5 → 25 → 100 %",
        "5 shop/stable limit: 8 → 25",
        "6 shop-ci/stable 1.4.2 → 1.5.0",
        "7 shop canary share 100 → 0 %",
        "8 warm-cache off → on",
    ]
    assert house.writes() == 0


def test_a_stage_says_who_signs_it_off_how_it_is_watched_and_how_it_is_undone(house: House) -> None:
    gate = {"approvers": ["lead", "dba"], "quorum": 2, "deadline": {"after": "2h", "then": "reject"}}
    house.runbook(stage("first", LIMIT, DEPLOY, gate=gate), rollback={"keep_trying_for": "15m"})

    told = words(house.plan("surge"))

    assert "Sign-off 2 of lead, dba (boris, vera); within 2 h, else: reject" in told
    assert (
        "5, 25, 100 % of the traffic; each settles 2 min, then a verdict every 1 min for 10 min: 36 min" in told
    )
    assert "Each step is tried for 15 min, shop-ci for 35 min;" in told
    assert "where one cannot be made, these are paged: anna, boris, vera" in told


def test_the_worst_exposure_is_told_for_each_stage_and_for_the_rollout(house: House) -> None:
    house.runbook(stage("first", LIMIT), stage("second", CACHE, shares_percent=[]))

    told = house.plan("surge")

    # 10 requests a second are 600 a minute; 2 min to settle, 3 verdicts without data, 1 min to roll back
    assert words(told).count("Exposure at most 3,600 bad user-minutes: 100 % of 600 users/min for 6 min") == 2
    assert "at most 3,600 bad user-minutes, in stage 1, because a rollback ends the run; 7,200 if" in words(
        told
    )


def test_without_known_traffic_the_exposure_is_said_to_be_unknown_and_why(house: House) -> None:
    house.runbook(stage("first", LIMIT), scoring={"metrics": METRICS})
    assert "Exposure not known: the runbook has no scoring.traffic" in words(house.plan("surge"))

    house.runbook(stage("first", LIMIT))
    house.metrics.values["shop:traffic:stable"] = None
    told = house.plan("surge")
    assert "Exposure not known: scoring.traffic has no data" in words(told)
    assert told.code == 0


def test_a_point_of_no_return_is_marked_and_explained(house: House) -> None:
    house.runbook(stage("drop", {**MIGRATE, "point_of_no_return": {"approvers": ["dba"]}}, shares_percent=[]))

    told = house.plan("surge")

    assert changes(told) == ["1 tickets-db revision 0006 → 0007 POINT OF NO RETURN"]
    assert (
        "POINT OF NO RETURN: tickets-db to revision 0007. It is asked about just before, signed off by "
        "dba (vera). Once it is made, no rollback takes it back" in words(told)
    )
    assert "no canary side: everybody gets it at once" in words(told)


def test_a_stage_that_is_in_place_says_so_and_exposes_nobody(house: House) -> None:
    house.targets.targets["shop"].parts |= {"stable": {"limit": 25}, "canary": {"limit": 25}}
    house.runbook(stage("first", LIMIT))

    told = house.plan("surge")

    assert told.code == 0
    assert "Changes already in place: the stage is skipped, nobody is asked" in words(told)
    assert "Worst exposure of the rollout: none, everything is in place." in words(told)


def test_no_line_is_wider_than_100_columns(house: House) -> None:
    house.systems.unreadable["shop-ci"] = "the secret in variable CI_TOKEN is empty or not set: " + "word " * 40
    many = {"kind": "http_config", "set": {f"a_setting_with_a_long_name_{n}": "x" * 40 for n in range(9)}}
    house.runbook(stage("first", many, DEPLOY, MIGRATE))

    lines = house.plan("surge").out.splitlines()

    assert max(map(len, lines)) <= 100


def test_the_pace_decides_how_long_shares_are_watched(house: House) -> None:
    house.runbook(stage("first", LIMIT))

    assert "a verdict every 2 min for 1 h: 3 h 6 min at least" in words(house.plan("surge", "--pace", "slow"))


# --- later stages -------------------------------------------------------------------------------------------


def test_a_later_stage_starts_from_what_the_earlier_ones_make(house: House) -> None:
    house.runbook(
        stage("first", LIMIT, DEPLOY),
        stage(
            "second", {"kind": "http_config", "set": {"limit": 30, "pool": 4}}, DEPLOY | {"version": "1.6.0"}
        ),
    )

    told = house.plan("surge")

    assert told.code == 0
    assert changes(told, 2)[:3] == [
        "1 shop/canary limit: 25 (after stage 1) → 30, pool: 2 → 4",
        "2 shop-ci/canary 1.5.0 (after stage 1) → 1.6.0",
        "3 shop canary share 0 → 5 → 25 → 100 %",
    ]
    assert house.writes() == 0


def test_a_stage_that_repeats_an_earlier_one_is_in_place_after_it(house: House) -> None:
    house.runbook(stage("first", LIMIT), stage("second", LIMIT))

    document = house.plan("surge", "--json").document

    assert [each["in_place"] for each in document["stages"]] == [False, True]


def test_a_second_migration_of_a_database_cannot_be_tried_out_yet_and_says_so(house: House) -> None:
    house.runbook(
        stage("first", MIGRATE, shares_percent=[]),
        stage("second", MIGRATE | {"revision": "0008"}, shares_percent=[]),
    )

    told = house.plan("surge")

    assert changes(told, 2) == [
        "1 tickets-db revision 0007 (after stage 1) → 0008 (cannot be tried out before stage 1 is in place)"
    ]
    assert house.systems.dry_runs == ["0007"]


def test_a_migration_is_tried_out_once_and_not_at_all_without_dry_run(house: House) -> None:
    house.runbook(stage("first", MIGRATE, shares_percent=[]))

    house.plan("surge")
    assert house.systems.dry_runs == ["0007"]

    told = house.plan("surge", "--no-dry-run")
    assert house.systems.dry_runs == ["0007"]
    assert changes(told) == ["1 tickets-db revision 0006 → 0007 (not tried out, because of --no-dry-run)"]


# --- problems -----------------------------------------------------------------------------------------------


def test_a_system_that_cannot_be_read_is_one_problem_and_all_else_is_shown(house: House) -> None:
    house.systems.unreadable["shop-ci"] = "the secret in variable CI_TOKEN is empty or not set"
    house.runbook(stage("first", LIMIT, DEPLOY), stage("second", MIGRATE, shares_percent=[]))

    told = house.plan("surge")

    assert told.code == 1
    assert words(told).count("CI_TOKEN") == 1
    assert "Problem shop-ci cannot be read: the secret in variable CI_TOKEN is empty or not set" in words(told)
    assert "1 problem would stop it, see stage 1." in words(told)
    assert changes(told)[:2] == ["1 shop/canary limit: 8 → 25", "2 shop-ci/canary ? → 1.5.0"]
    assert changes(told, 2) == ["1 tickets-db revision 0006 → 0007"]


def test_where_the_target_is_down_the_rest_of_the_checks_is_done_all_the_same(house: House) -> None:
    house.targets.targets["shop"].down = True
    house.metrics.values["shop:latency:stable"] = None
    house.runbook(stage("first", LIMIT, MIGRATE))

    document = house.plan("surge", "--json").document

    assert document["problems"] == [
        "shop cannot be read: shop does not answer",
        "metric latency_p95 has no data for stable",
    ]
    assert house.systems.dry_runs == ["0007"]
    migration = next(each for each in document["stages"][0]["effects"] if each["system"] == "tickets-db")
    assert [each["after"] for each in migration["changes"]] == ["0007", "bbbb"]


def test_a_problem_of_several_stages_is_told_in_full_once(house: House) -> None:
    house.metrics.down.add("shop")
    house.runbook(stage("first", LIMIT), stage("second", {"kind": "http_config", "set": {"pool": 4}}))

    told = house.plan("surge")

    assert told.code == 1
    assert words(told).count("Problem the metrics backend does not answer") == 1
    assert "Problem as in stage 1: the metrics backend does not answer" in words(told)
    assert "1 problem would stop it, see stages 1, 2." in words(told)


def test_a_migration_that_fails_in_its_dry_run_is_a_problem(house: House) -> None:
    house.systems.failing_dry_runs.add("0007")
    house.runbook(stage("first", MIGRATE, shares_percent=[]))

    told = house.plan("surge")

    assert told.code == 1
    assert "Problem tickets-db to revision 0007: revision 0007 has no downgrade" in words(told)
    assert changes(told) == ["1 tickets-db revision 0006 → 0007 (could not be made, see the problems)"]


def test_what_another_run_has_left_is_a_problem(house: House) -> None:
    house.targets.targets["shop"].parts["share"] = {"percent": 25}
    house.systems.unsettled["warm-cache", "all"] = "rollout-x/cache/warm-cache"
    house.runbook(stage("first", LIMIT, CACHE))

    told = house.plan("surge")

    assert told.code == 1
    assert "Problem a canary is out already: its share is 25 %" in words(told)
    assert "(in doubt: rollout-x/cache/warm-cache has not ended well)" in words(told)


async def test_a_system_that_is_down_is_asked_once_and_not_once_a_part() -> None:
    targets = CountedTargets()
    targets.targets["shop"].down = True
    reader = Ahead({"http_config": targets}).providers["http_config"]

    for part in ("canary", "stable", "canary"):
        with pytest.raises(Unavailable, match="shop does not answer"):
            await reader.read("shop", part)

    assert targets.reads == 1


async def test_what_a_plan_reads_through_cannot_write() -> None:
    targets = Targets()
    reader = Ahead({"http_config": targets}).providers["http_config"]
    before = await reader.read("shop", "stable")
    effect = Effect(
        key="plan/first/promote",
        stage="first",
        kind="http_config",
        endpoint="shop",
        part="stable",
        values={"limit": 25},
        title="stable: limit = 25",
    )

    with pytest.raises(ChangeFailed, match="stable: limit = 25: a plan changes nothing"):
        await reader.write(Write(effect=effect, source=before.values, goal={"limit": 25}), StubProgress())

    assert await targets.read("shop", "stable") == before


# --- input --------------------------------------------------------------------------------------------------


def test_a_file_outside_the_runbook_directories_is_planned_with_the_people_of_the_library(
    house: House, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    file = house.runbook(stage("first", LIMIT), at="elsewhere/draft.yaml")

    told = house.plan(file)

    assert told.code == 0
    assert "Sign-off lead (boris)" in words(told)


def test_a_wrong_file_is_told_line_by_line(house: House) -> None:
    file = house.runbook(stage("first", LIMIT | {"sett": 1}, DEPLOY | {"system": "shop-cd"}))

    told = house.plan(file)

    assert told.code == 2
    assert re.search(rf"^{file}:\d+: stages\.0\.changes\.0\.sett: unknown field", told.err, re.MULTILINE)
    assert told.out == ""


def test_a_system_that_is_in_no_file_is_told_by_its_line(house: House) -> None:
    file = house.runbook(stage("first", DEPLOY | {"system": "shop-cd"}))

    told = house.plan(file)

    assert told.code == 2
    assert re.search(rf"^{file}:\d+: stages\.0\.changes\.0\.system: there is no system 'shop-cd'", told.err)


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        (["nothing"], "unknown runbook 'nothing'; known: surge"),
        (["surge", "--pace", "fast"], "unknown pace of runbook 'surge' 'fast'; known: default, slow"),
        (["surge", "--as", "zoe"], "unknown person 'zoe'; known: anna, boris, vera"),
        (["surge", "--as", "boris"], "'boris' may not start 'surge'; those who may: anna"),
    ],
)
def test_wrong_input_ends_with_2_before_anything_is_read(house: House, tokens: list[str], said: str) -> None:
    house.runbook(stage("first", LIMIT))

    told = house.plan(*tokens)

    assert told.code == 2
    assert said in told.err
    assert house.metrics.asked == {}


def test_who_starts_it_is_not_among_those_who_sign_it_off(house: House) -> None:
    gate = {"approvers": ["oncall", "lead"]}
    house.runbook(stage("first", LIMIT, gate=gate))

    assert "(anna, boris)" in words(house.plan("surge"))
    assert "(boris)" in words(house.plan("surge", "--as", "Anna"))


def test_the_document_is_the_same_at_each_call_and_has_everything_for_a_pipeline(house: House) -> None:
    house.runbook(stage("first", LIMIT))

    first, second = house.plan("surge", "--json"), house.plan("surge", "--json")

    assert first.out == second.out
    document = first.document
    assert set(document) == {
        *("runbook", "title", "digest", "pace", "target", "environment", "starters"),
        *("fix", "team", "unblocks", "frozen"),
        *("stages", "exposure", "problems", "exit"),
    }
    assert (document["problems"], document["exit"]) == ([], 0)
    assert document["exposure"]["bad_user_minutes"] == 3600
    assert document["stages"][0]["effects"][0] == {
        "step": 1,
        "kind": "http_config",
        "system": "shop",
        "part": "canary",
        "title": "canary: limit = 25",
        "changes": [{"field": "limit", "before": 8, "after": 25, "known": True, "after_stage": None}],
        "differs": True,
        "note": "",
        "no_return": None,
        "tried_for_seconds": 900.0,
    }


def test_the_help_has_the_exit_codes(house: House) -> None:
    told = house.plan("--help")

    assert "Exit codes:\n  0  everything could be planned" in told.out


# --- real systems -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    async with shop_process(tmp_path_factory.mktemp("shop") / "state.json") as url:
        yield url


@pytest.fixture
def on_this_machine(house: House, shop: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Told]:
    """Plan with the adapters that a worker has; nothing answers for metrics."""
    database = house.directory / "tickets.db"
    database.touch()
    scripts = RevisionScripts(house.directory / "migrations")
    for revision, (upgrade, downgrade) in SHOP.items():
        scripts.add(revision, upgrade, downgrade)
    monkeypatch.setenv("TICKETS_URL", f"sqlite:///{database}")
    with socket.create_server(("127.0.0.1", 0)) as held:
        nobody = f"http://127.0.0.1:{held.getsockname()[1]}"
    settings = Settings(
        runbook_dirs=(house.directory,),
        endpoints={"shop": shop},
        prometheus_url=nobody,
        state_dir=house.directory / "var",
    )
    return lambda *tokens: house.plan(*tokens, deps=plan_command(settings))


def test_a_real_shop_a_real_database_and_a_real_command_are_as_they_were_before_the_plan(
    house: House, shop: str, on_this_machine: Callable[..., Told]
) -> None:
    migration, pool = MIGRATE | {"revision": "0003"}, {"kind": "http_config", "set": {"crm_pool_size": 4}}
    cache = {"run": ["/bin/true"], "revert": ["/bin/true"], "state": ["/bin/echo", "off"]}
    systems = SYSTEMS["systems"]
    house.write("systems.yaml", {"systems": systems | {"warm-cache": systems["warm-cache"] | cache}})
    house.runbook(stage("first", migration, pool, CACHE), stage("second", DEPLOY))
    database = house.directory / "tickets.db"

    def everything() -> tuple[str, str, bytes, list[str]]:
        with httpx.Client(base_url=shop, trust_env=False) as client:
            shown = client.get("/config").text, client.get("/config/log").text
        files = sorted(path.name for path in house.directory.iterdir() if path.name != "var")
        return *shown, database.read_bytes(), files

    before = everything()
    told = on_this_machine("surge")

    assert everything() == before
    # Looking at a command makes its lock, which is empty, and no record of a run.
    own = [path for path in (house.directory / "var").rglob("*") if path.is_file()]
    assert [(path.name, path.stat().st_size) for path in own] == [("warm-cache.lock", 0)]
    assert told.code == 1
    assert re.fullmatch(r"1 tickets-db revision nothing → 0003", changes(told)[0])
    assert changes(told)[1] == "2 shop/canary crm_pool_size: 1 → 4"
    assert changes(told)[-1] == "6 warm-cache off → on"
    assert "shop-ci cannot be read: the secret in variable CI_TOKEN is empty or not set" in words(told)
    assert "Prometheus at http://127.0.0.1:" in words(told)
