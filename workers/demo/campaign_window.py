"""The demo's campaign in its window: a freeze, a breach, an incident, a fix, and recovery."""

import json
from datetime import UTC, datetime
from typing import Any, Final

from holdfast.domain.campaign import BreachLine, CampaignView, Phase
from holdfast.domain.view import RunState, RunView
from workers.demo.campaign_files import FIX, PLANNED
from workers.demo.campaign_scene import CampaignScene, text_of
from workers.demo.scene import ANNA, BORIS, NAMES, StoryFailed
from workers.demo.stack import CLIENT_CHAT_ID

SALE_RATE: Final = 88.0
# One scrape, one interval of the watch, and three seconds.
PAGED_WITHIN_SECONDS: Final = 1 + 2 + 3
_CALLED: Final = "🚨"


class TheWindow:
    """Plays what happens while the window is open."""

    def __init__(self, scene: CampaignScene) -> None:
        """Play in this scene."""
        self._scene, self._world = scene, scene.world

    async def play(self) -> None:
        """Play it.

        Raises:
            StoryFailed: at the first thing that did not happen.
        """
        await self._frozen()
        await self._opened()
        breach = await self._broken()
        user = await self._acknowledged(breach)
        await self._fixed()
        await self._recovered(breach, user)
        await self._closed()

    async def _frozen(self) -> None:
        scene = self._scene
        await scene.until_campaign("planned rollouts are frozen", lambda now: now.frozen)
        scene.screen.enter("shortly before the window planned rollouts are frozen")
        started = await scene.command("run", "rollout", PLANNED, "--as", NAMES[ANNA], "--json")
        view = await self._ended(str(json.loads(started)["run_id"]))
        scene.screen.say("holdfast", view.headline)
        refused = view.state is RunState.STOPPED and scene.run in view.headline
        scene.facts.check("a planned rollout was refused, with the reason", holds=refused, seen=view.headline)

    async def _opened(self) -> None:
        scene = self._scene
        await scene.until_campaign("the window opens", lambda now: now.phase is Phase.OPEN)
        scene.screen.enter(f"the window is open: customers come {SALE_RATE / 10:.0f} times as often")
        await self._world.set_rate(SALE_RATE)
        told = await scene.until_told(CLIENT_CHAT_ID, "limits")
        scene.facts.saw("the client was told in its own chat, with the limits", text_of(told).splitlines()[0])

    async def _broken(self) -> BreachLine:
        scene = self._scene
        campaign = await scene.until_campaign("a promise is in breach", lambda now: now.breaches)
        breach = campaign.breaches[0]
        scene.screen.say("holdfast", f"{breach.title} is in breach: {breach.said}")
        if not breach.incident:
            raise StoryFailed("no incident was opened for the breach")
        return breach

    async def _acknowledged(self, breach: BreachLine) -> int:
        """Have whoever is on duty take the incident, and return who that is."""
        scene = self._scene
        scene.screen.enter("the breach opens an incident, which calls whoever is on duty")
        user = await self._on_duty()
        called = await scene.until_told(user, _CALLED, breach.title)
        late = datetime.fromtimestamp(called["date"], UTC) - breach.began
        seen = f"{NAMES[user]}, {max(0.0, late.total_seconds()):.0f} s after the look that saw it"
        holds = late.total_seconds() <= PAGED_WITHIN_SECONDS
        scene.facts.check("the breach called a person in Telegram within seconds", holds=holds, seen=seen)
        button = await scene.until_button(f"i:{breach.incident}:k", chat=user)
        await scene.moment("called")
        scene.screen.say(NAMES[user], f"taps {button.label}: {await scene.tap(user, button, chat=user)}")
        view = await scene.until_state(breach.incident, RunState.ACKNOWLEDGED)
        scene.facts.saw("the incident was acknowledged by a tap", view.headline)
        told = await scene.until_told(CLIENT_CHAT_ID, breach.journey)
        scene.facts.saw("the client was told what its customers cannot do", text_of(told).splitlines()[0])
        await self._told_by_telephone()
        return user

    async def _told_by_telephone(self) -> None:
        """Have the client liaison tick off what each breach puts on the checklist."""
        await self._scene.take_what_is_asked(ANNA, many=1)
        campaign = await self._scene.until_campaign(
            "the breach's task is done", lambda now: any(task.breach and task.done_at for task in now.tasks)
        )
        done = [f"{task.id}: {task.done_by}" for task in campaign.tasks if task.breach and task.done_at]
        self._scene.facts.saw("the breach's own task was asked for and ticked off", ", ".join(done))

    async def _fixed(self) -> None:
        """Roll a fix out: it may pass the freeze, and asks for one approval."""
        scene = self._scene
        scene.screen.enter("operations roll out the fix: it may pass the freeze")
        run = await scene.start_from_chat(ANNA, FIX)
        await scene.answer(BORIS, run, "a")
        await scene.moment("breach")
        view = await scene.until_state(run, RunState.PROMOTED)
        scene.facts.saw("a fix went through while planned work was frozen", view.headline)

    async def _recovered(self, breach: BreachLine, user: int) -> None:
        scene = self._scene
        scene.screen.enter("the promises are kept again, under the traffic of the sale")

        def over(now: CampaignView) -> bool:
            return all(each.ended for each in now.breaches)

        campaign = await scene.until_campaign("the breach is over", over)
        ended = campaign.breaches[0].ended or breach.began
        seen = f"after {(ended - breach.began).total_seconds():.0f} s; {scene.read_out_now('latency_p95_s')}"
        scene.facts.saw("the watch saw it well again", seen)
        view = await scene.view(breach.incident)
        noted = [line.text for line in view.log if scene.run in line.text]
        scene.facts.check("the incident was told so by the watch", holds=noted, seen=noted[-1] if noted else "")
        told = await scene.until_told(CLIENT_CHAT_ID, breach.journey, "lasted")
        scene.facts.saw("the client was told that it is over", text_of(told).splitlines()[0])
        await self._nobody_twice(breach)
        await self._resolved(breach.incident, user)

    async def _nobody_twice(self, breach: BreachLine) -> None:
        calls = {name: await self._calls(person, breach.title) for person, name in NAMES.items()}
        seen = ", ".join(f"{name} {count}" for name, count in calls.items() if count)
        claim = "nobody was called twice, nor anybody else once it was acknowledged"
        self._scene.facts.check(claim, holds=sum(calls.values()) == 1, seen=seen)

    async def _calls(self, person: int, title: str) -> int:
        texts = [text_of(message) for message in await self._world.messages(person)]
        return sum(text.startswith(_CALLED) and title in text for text in texts)

    async def _resolved(self, incident: str, user: int) -> None:
        scene, name = self._scene, NAMES[user]
        button = await scene.until_button(f"i:{incident}:v")
        scene.screen.say(name, f"taps {button.label}: {await scene.tap(user, button)}")
        why = await scene.until_button("y:", f":{name}:0")
        scene.screen.say(name, f"taps {why.label}: {await scene.tap(user, why)}")
        view = await scene.until_state(incident, RunState.RESOLVED)
        scene.facts.saw("the incident was resolved by a person, with a reason", view.headline)

    async def _closed(self) -> None:
        scene = self._scene
        scene.screen.enter("the window closes")
        await scene.until_campaign(
            "the window closes", lambda now: now.phase in {Phase.ANALYSIS, Phase.CLOSED} and not now.frozen
        )
        told = await scene.until_told(CLIENT_CHAT_ID, "over")
        scene.facts.saw(
            "the window closed, the freeze ended, and the client was told", text_of(told).splitlines()[0]
        )

    async def _ended(self, run: str) -> RunView:
        async def ended() -> RunView | None:
            view: Any = await self._scene.view(run)
            return view if view.state.ended else None

        return await self._scene.until(f"{run} is over", ended)

    async def _on_duty(self) -> int:
        listed = json.loads(await self._scene.command("oncall", "--rota", "oncall", "--json"))
        name = listed["rotas"][0]["shifts"][0]["person"]
        return next(number for number, known in NAMES.items() if known == name)
