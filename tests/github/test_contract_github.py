"""What every CI system does, by GitHub's two kinds of servers, and what is GitHub's own."""

import asyncio
from contextlib import suppress

import httpx
import pytest

from holdfast.adapters.github import GitHubPipelines
from holdfast.domain.errors import InvalidInput, Unavailable
from holdfast.ports.pipelines import Action, PipelineOrder, Pipelines, RunStatus
from holdfast.runbook.systems import GitHubSystem
from holdfast.sim.ci.engine import RunState
from tests.pipelines.contract import (
    CI_TOKEN,
    KEY,
    NEW,
    OLD,
    POLL,
    SYSTEM,
    TOKEN,
    VISIBLE_WITHIN,
    PipelinesContract,
    Watch,
    World,
    begin,
    ended,
    order,
    reveal,
    until,
    write,
)


def system(url: str, **changed: object) -> GitHubSystem:
    given = {
        "kind": "github",
        "url": url,
        "token": TOKEN,
        "repository": "shop/bot",
        "poll": POLL,
        "visible_within": VISIBLE_WITHIN,
    }
    return GitHubSystem.model_validate({**given, **changed})


def github_com(url: str) -> Pipelines:
    return GitHubPipelines({SYSTEM: system(url)}, reveal)


def enterprise_server(url: str) -> Pipelines:
    return GitHubPipelines({SYSTEM: system(f"{url}/api/v3")}, reveal)


def with_parameters(**parameters: str) -> PipelineOrder:
    return order().model_copy(update={"parameters": parameters})


async def raw(w: World, path: str, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        auth = {"Authorization": f"Bearer {CI_TOKEN}", **headers}
        return await client.get(f"{w.url}/repos/shop/bot/actions{path}", headers=auth)


class TestEnterpriseServer(PipelinesContract):
    face = "github"
    make = staticmethod(enterprise_server)

    async def test_a_dispatch_does_not_tell_the_run_and_starts_one(self) -> None:
        async with self.world() as w:
            assert await w.pipelines.start(order()) is None
            assert len(w.keyed()) == 1


class TestGitHubCom(PipelinesContract):
    face = "github"
    make = staticmethod(github_com)

    async def test_a_dispatch_tells_the_run_that_it_became(self) -> None:
        async with self.world(visible_after_seconds=30) as w:
            run = await w.pipelines.start(order())
            assert run is not None
            assert (await ended(w, order(), run)).status is RunStatus.SUCCEEDED
            assert await w.pipelines.find(order()) is None

    async def test_a_deployment_and_its_rollback_run_one_workflow_each(self) -> None:
        async with self.world(visible_after_seconds=0.1) as w:
            there = await w.provider.read(SYSTEM, "canary")
            wanted = await w.provider.foresee(write().effect, there)
            deployed = await w.provider.write(write(), Watch())
            back = await w.provider.write(write(undo=True), Watch())

            assert (there.values, wanted) == ({"version": OLD}, {"version": NEW})
            assert (deployed.values, back.values) == ({"version": NEW}, {"version": OLD})
            assert (back.unsettled, w.ci.deployed["canary"]) == ("", OLD)
            assert w.ci.effects == {KEY: 1, f"{KEY}/undo": 1}
            assert [run.name for run in w.ci.runs if run.key] == ["deploy.yml", "rollback.yml"]

    async def test_the_runbooks_parameters_go_along_as_inputs_and_cannot_replace_ours(self) -> None:
        async with self.world() as w:
            await begin(w, with_parameters(strategy="rolling", part="stable"))
            parameters = w.ci.runs[-1].parameters
            assert parameters == {
                "part": "canary",
                "version": NEW,
                "holdfast_key": KEY,
                "strategy": "rolling",
            }

    async def test_an_input_that_the_workflow_does_not_have_is_named(self) -> None:
        async with self.world() as w:
            with pytest.raises(InvalidInput, match=r'Unexpected inputs provided: \["colour"\]'):
                await w.pipelines.start(with_parameters(colour="blue"))
            assert w.keyed() == []

    @pytest.mark.parametrize("changed", [{"deploy": "ship.yml"}, {"repository": "shop/bott"}])
    async def test_a_workflow_or_repository_that_is_not_there_is_an_error_with_a_remedy(
        self, changed: dict[str, str]
    ) -> None:
        async with self.world() as w:
            pipelines = GitHubPipelines({SYSTEM: system(w.url, **changed)}, reveal)
            with pytest.raises(InvalidInput, match="Not Found; check 'repository', 'deploy' and 'rollback'"):
                await pipelines.start(order())

    async def test_a_failed_run_names_the_job_and_the_step(self) -> None:
        async with self.world(failing_versions={NEW}) as w:
            done = await ended(w, order(), await begin(w, order()))
            assert done.said == "failed: job 'deploy-canary' failed at step 'Deploy'"
            there = await w.pipelines.deployed(SYSTEM, "canary")
            assert there.doubt == f"GitHub run 4 {done.said}"  # after one for each part

    async def test_a_run_that_waits_for_a_runner_says_so(self) -> None:
        async with self.world(runners=0) as w:
            run = await begin(w, order())
            assert (await w.pipelines.look(order(), run.id)).said == "waits for a runner"
            there = await w.pipelines.deployed(SYSTEM, "canary")
            assert (there.version, there.unsettled) == (OLD, KEY)
            assert there.doubt.endswith("waits for a runner")

    async def test_a_run_that_was_cancelled_in_the_queue_leaves_no_doubt(self) -> None:
        async with self.world(runners=0) as w:
            run = await begin(w, order())
            await w.pipelines.cancel(order(), run.id)
            assert (await ended(w, order(), run)).said == "was cancelled"
            there = await w.pipelines.deployed(SYSTEM, "canary")
            assert (there.version, there.unsettled, there.doubt) == (OLD, "", "")

    async def test_a_run_without_our_key_is_named_by_its_address(self) -> None:
        async with self.world(job_seconds=30) as w:
            run = await begin(w, order(key="typed-by-hand"))
            await until(lambda: w.keyed("typed-by-hand") == [RunState.RUNNING])
            there = await w.pipelines.deployed(SYSTEM, "canary")
            seen = await w.pipelines.look(order(), run.id)
            assert there.unsettled == seen.url
            assert seen.url.startswith(f"{w.url}/shop/bot/actions/runs/")

    async def test_a_deployment_is_found_behind_pages_of_other_parts_runs(self) -> None:
        async with self.world(runners=50, job_seconds=0, queue_seconds=0) as w:
            await ended(w, order(), await begin(w, order()))
            for number in range(130):
                w.ci.start(
                    name="deploy.yml",
                    action="deploy",
                    part="stable",
                    version=NEW,
                    key=f"rollout-4f7qk2mz/fix-{number}/shop-ci-stable",
                    ref="main",
                    parameters={},
                )
            await until(lambda: all(run.over for run in w.ci.runs))
            assert (await w.pipelines.deployed(SYSTEM, "canary")).version == NEW
            found = await w.pipelines.find(order())
            assert found is not None
            assert found.status is RunStatus.SUCCEEDED

    async def test_a_key_does_not_find_the_runs_of_the_other_workflow(self) -> None:
        async with self.world() as w:
            await begin(w, order())
            assert await w.pipelines.find(order(action=Action.ROLLBACK)) is None

    async def test_a_run_that_is_not_to_be_seen_is_no_refusal(self) -> None:
        async with self.world() as w:
            with pytest.raises(Unavailable, match="run 17 is not to be seen, or was deleted"):
                await w.pipelines.look(order(), "17")
            with pytest.raises(Unavailable, match="run 17 is not to be seen, or was deleted"):
                await w.pipelines.cancel(order(), "17")

    async def test_the_answers_tell_the_rate_limit_and_the_pages(self) -> None:
        async with self.world(requests_per_minute=3) as w:
            answers = [await raw(w, "/workflows/deploy.yml/runs?per_page=1&page=2") for _ in range(4)]
            first, last = answers[0], answers[-1]
            assert first.json()["total_count"] == 3
            assert len(first.json()["workflow_runs"]) == 1
            assert {rel: link["url"].rpartition("page=")[2] for rel, link in first.links.items()} == {
                "prev": "1",
                "next": "3",
                "last": "3",
                "first": "1",
            }
            assert [a.headers["x-ratelimit-remaining"] for a in answers] == ["2", "1", "0", "0"]
            assert [a.status_code for a in answers] == [200, 200, 200, 403]
            assert last.json()["message"].startswith("API rate limit exceeded")
            assert int(last.headers["x-ratelimit-reset"]) > 0

    async def test_the_storage_refuses_a_request_that_brings_the_token(self) -> None:
        async with self.world() as w:
            listed = (await raw(w, "/workflows/deploy.yml/runs")).json()["workflow_runs"][0]
            artifact = (await raw(w, f"/runs/{listed['id']}/artifacts")).json()["artifacts"][0]
            redirect = await raw(w, f"/artifacts/{artifact['id']}/zip")
            signed = httpx.URL(redirect.headers["location"])
            async with httpx.AsyncClient(trust_env=False) as client:
                with_token = await client.get(signed, headers={"Authorization": f"Bearer {CI_TOKEN}"})
                without = await client.get(signed)
                forged = await client.get(signed.copy_set_param("se", "9999999999"))
            assert redirect.status_code == 302
            assert signed.host != httpx.URL(w.url).host
            assert (with_token.status_code, without.status_code, forged.status_code) == (403, 200, 403)

    async def test_a_lost_start_is_started_once_by_attempts_that_die_one_after_the_other(self) -> None:
        async with self.world(drop_starts=1, visible_after_seconds=0.3) as w:
            first = asyncio.create_task(w.provider.write(write(), Watch()))
            await until(lambda: len(w.keyed()) == 1)
            first.cancel()
            with suppress(asyncio.CancelledError, Unavailable):
                await first
            state = await w.provider.write(write(), Watch(repeated=True))
            assert state.values == {"version": NEW}
            assert w.ci.effects == {KEY: 1}
