"""The demo's campaign before its window: a load test that fails, a decision, roles, a sign-off."""

import json
from typing import Final

from holdfast.domain.campaign import Go, LoadView, TestVerdict
from holdfast.domain.view import RunView
from workers.demo.campaign_files import CAMPAIGN
from workers.demo.campaign_scene import ROLES, CampaignScene, text_of
from workers.demo.scene import ANNA, BORIS, GLEB, NAMES, VERA, StoryFailed

_GO_WITH_LIMITS: Final = "l"
_APPROVE: Final = "a"


class BeforeTheWindow:
    """Plays what happens before the window opens."""

    def __init__(self, scene: CampaignScene) -> None:
        """Play in this scene."""
        self._scene = scene

    async def play(self) -> None:
        """Play it.

        Raises:
            StoryFailed: at the first thing that did not happen.
        """
        await self._started()
        test = await self._test_begun()
        await self._roles_taken()
        await self._failed(test)
        await self._decided(test)
        await self._signed_off()

    async def _started(self) -> None:
        scene = self._scene
        scene.screen.enter("a campaign is planned: its load test is scheduled, and its run is started")
        said = await scene.command("schedule", "apply", CAMPAIGN, "--as", NAMES[ANNA])
        scene.screen.say("desk", said.strip())
        started = json.loads(await scene.command("run", "campaign", CAMPAIGN, "--as", NAMES[ANNA], "--json"))
        scene.run = str(started["run_id"])
        scene.screen.say("holdfast", f"run {scene.run}: {scene.world.run_url(scene.run)}")

    async def _test_begun(self) -> str:
        """Let the schedule begin one test at once, and no others; return its run's id."""
        scene = self._scene
        await scene.command("schedule", "trigger", CAMPAIGN, "--as", NAMES[ANNA])
        paused = "schedule", "pause", CAMPAIGN, "--as", NAMES[ANNA], "--note", "one test is enough"
        await scene.command(*paused)

        async def begun() -> str | None:
            runs = [run.run_id for run in await scene.world.runs.recent() if run.kind == "load"]
            return runs[-1] if runs else None

        run = await scene.until("the schedule begins a load test", begun)
        listed = json.loads(await scene.command("schedule", "list", "--json"))["schedules"][0]
        scene.facts.check(
            "a load test began by its schedule, which was then paused",
            holds=listed["paused"] and any(each["run"] == run for each in listed["runs"]),
            seen=f"{listed['id']}: {run}",
        )
        return run

    async def _roles_taken(self) -> None:
        """Have everybody take the role and do the task that they are asked for, while the test runs."""
        scene = self._scene
        scene.screen.enter("roles and tasks are asked for in private chats, and taken by taps")
        many = {BORIS: 1, GLEB: 1, VERA: 2, ANNA: 2}  # a role, and for two of them its task
        await scene.both(*(scene.take_what_is_asked(user, many=count) for user, count in many.items()))
        campaign = await scene.until_campaign(
            "every role is taken and every task is done",
            lambda now: all(role.person for role in now.roles) and all(task.done_at for task in now.tasks),
        )
        wanted = {name: NAMES[user] for name, user in ROLES.items()}
        scene.facts.check(
            "every role was accepted and every task ticked off by a tap",
            holds={role.name: role.person for role in campaign.roles} == wanted,
            seen=", ".join(f"{name}: {person}" for name, person in wanted.items()),
        )

    async def _failed(self, run: str) -> None:
        scene = self._scene
        scene.screen.enter("the load test ramps to the expected peak × 1.5, beside ordinary customers")

        async def over() -> RunView | None:
            view = await scene.view(run)
            return view if view.gate or view.state.ended else None

        view = await scene.until("the load test comes to something", over)
        load = view.load or LoadView()
        line = load.result
        if line is None or line.verdict is not TestVerdict.FAILED:
            raise StoryFailed(f"the load test should fail, but it is: {view.headline}")
        scene.screen.say("holdfast", line.said)
        scene.facts.check(
            "the failed test names the context that saturates first, the rate, and the resource",
            holds="crm-pool" in line.saturates,
            seen=line.saturates or line.said,
        )
        seen = f"{line.capacity:g}/s carried, headroom {line.headroom_percent:.0f} %" if line.capacity else "–"
        claim = "it says what the system carries, against the plan"
        scene.facts.check(claim, holds=line.capacity and (line.headroom_percent or 0) < 0, seen=seen)

    async def _decided(self, run: str) -> None:
        scene = self._scene
        scene.screen.enter("the owner is called, and people decide: go, no-go, or go with limits")
        called = await scene.until_told(BORIS, "Decide at the gate", run)
        seen = f"boris: {text_of(called).splitlines()[0]}"
        scene.facts.saw("the failed test called the campaign's owner", seen)
        await scene.until_button(f"{_GO_WITH_LIMITS}:{run}:", chat=GLEB)
        await scene.moment("failed")
        await scene.answer(GLEB, run, _GO_WITH_LIMITS)
        campaign = await scene.until_campaign(
            "the campaign knows what was decided", lambda now: now.tests and now.tests[-1].go
        )
        test = campaign.tests[-1]
        seen = f"{test.decided_by}: {test.go}"
        scene.facts.check("a tap decided “go with limits”", holds=test.go is Go.LIMITS, seen=seen)

    async def _signed_off(self) -> None:
        scene = self._scene
        scene.screen.enter("the sign-off is asked for, with the test's evidence")
        gate = await scene.until_open_gate(scene.run, begins="sign-off")
        scene.screen.say("holdfast", f"asks {', '.join(gate.approvers)}: {gate.told}")
        await scene.until_button(f"{_APPROVE}:{scene.run}:", chat=BORIS)
        await scene.moment("sign-off")
        await scene.answer(BORIS, scene.run, _APPROVE)
        await scene.answer(GLEB, scene.run, _APPROVE)

        async def signed() -> RunView | None:
            view = await scene.view()
            return view if any(closed.id == gate.id for closed in view.closed_gates) else None

        view = await scene.until("the campaign is signed off", signed)
        decisions = next(closed for closed in view.closed_gates if closed.id == gate.id).decisions
        seen = ", ".join(f"{each.by} via {each.channel}" for each in decisions)
        holds = [each.by for each in decisions] == [NAMES[BORIS], NAMES[GLEB]]
        scene.facts.check("the window was signed off by two taps, in their order", holds=holds, seen=seen)
