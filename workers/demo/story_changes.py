"""The chapter in which one stage changes code, configuration and schema, and a person has it undone as one."""

from collections import Counter
from typing import Any, Final

from holdfast.domain.journal import EntryStatus
from holdfast.domain.view import RunState, RunView
from workers.demo.scene import ANNA, BORIS, Scene
from workers.demo.systems import ShopSystems

RUNBOOK: Final = "ticket-tiers"
STAGE, NEXT_STAGE = "expand", "contract"


class OneChange:
    """Plays the chapter; what it checks, it reads at the systems themselves."""

    def __init__(self, scene: Scene) -> None:
        """Play in this scene; its stack has to have the systems that the runbook names."""
        self._scene, self._world = scene, scene.world
        self._systems: ShopSystems = scene.world.systems

    async def play(self) -> str:
        """Play it and return the run's id.

        Raises:
            StoryFailed: at the first thing that did not happen.
        """
        before = await self._planned()
        run_id = await self._rolled_out(before)
        await self._rolled_back(run_id, before)
        return run_id

    async def _planned(self) -> dict[str, Any]:
        """Show what the runbook would do; return what the systems show."""
        self._scene.screen.enter("one release needs code, configuration and schema: what would it do?")
        before = await self._seen()
        self._scene.screen.print_out(await self._scene.command("plan", RUNBOOK))
        same = await self._seen() == before
        self._scene.facts.check(
            "a plan shows every step beforehand, and changes nothing", holds=same, seen=_short(before)
        )
        return before

    async def _rolled_out(self, before: dict[str, Any]) -> str:
        scene = self._scene
        scene.screen.enter("on-call starts it; the stage is approved and promoted")
        run_id = await scene.start_from_chat(ANNA, RUNBOOK)
        await scene.approve_in_telegram(run_id, STAGE, BORIS)
        await scene.until_stage(run_id, STAGE, "promoted")
        await scene.until_gate(run_id, NEXT_STAGE)
        made = await self._seen()
        parts = ("stable", "deployed", "schema", "search index")
        scene.facts.check(
            "one stage changed code, configuration and schema together",
            holds=all(made[part] != before[part] for part in parts),
            seen=f"{_short(before)} → {_short(made)}",
        )
        return run_id

    async def _rolled_back(self, run_id: str, before: dict[str, Any]) -> None:
        scene = self._scene
        scene.screen.enter("support sees wrong tiers: on-call takes all of it back with two taps")
        await scene.roll_back_in_telegram(run_id, ANNA)
        view = await scene.until_state(run_id, RunState.ROLLED_BACK)
        scene.screen.say("holdfast", view.headline)
        after = await self._seen()
        scene.facts.check(
            "every system is as it was before: version, revision and schema, settings, share, search index",
            holds=after == before and _all_taken_back(view) and "verified" in view.headline,
            seen=_short(after),
        )
        await self._check_once(run_id, view)
        ending = await scene.until("the chat is told how it ended", self._told_the_end)
        scene.facts.saw("the chat rings with the proof, for whoever has looked away", ending)

    async def _told_the_end(self) -> str | None:
        texts = [str(message.get("text", "")) for message in await self._world.messages()]
        return next((text for text in texts if text.startswith("Rolled back: anna asked")), None)

    async def _check_once(self, run_id: str, view: RunView) -> None:
        """Compare what each system counted itself with the journal: each effect once, each way back once."""
        counted = Counter(entry["key"] for entry in await self._world.config_log())
        counted += Counter(await self._world.ci("effects")) + self._systems.effects()
        ours = Counter({key: times for key, times in counted.items() if key.startswith(f"{run_id}/")})
        keys = [entry.effect.key for entry in view.journal]
        self._scene.facts.check(
            "each effect and each way back happened exactly once",
            holds=ours == Counter([*keys, *(f"{key}/undo" for key in keys)]),
            seen=f"{len(keys)} effects in the journal, {ours.total()} changes counted by the systems",
        )

    async def _seen(self) -> dict[str, Any]:
        """Look at every system, past everything of ours."""
        config = await self._world.config()
        return {
            "stable": config["stable"],
            "canary": config["canary"],
            "share": config["canary_share_percent"],
            "deployed": await self._world.ci("deployed"),
            "schema": self._systems.schema(),
            "tickets": self._systems.tickets(),
            "search index": self._systems.search_index(),
        }


def _all_taken_back(view: RunView) -> bool:
    return bool(view.journal) and all(entry.status is EntryStatus.REVERTED for entry in view.journal)


def _short(seen: dict[str, Any]) -> str:
    """Write the most important of what the systems show as one line."""
    index = "built" if seen["search index"] else "not built"
    return (
        f"version {seen['deployed']['stable']}, revision {seen['schema']['revision']}, "
        f"send rate {seen['stable']['bot_rate_limit_per_s']:g}/s, index {index}"
    )
