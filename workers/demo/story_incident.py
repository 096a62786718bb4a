"""The chapter in which people are called, and the bot dies while messages wait in its outbox."""

import asyncio
import json
import re
from typing import Any, Final

from holdfast.domain.view import RunState
from workers.demo.scene import (
    ANNA,
    BORIS,
    GLEB,
    INTERACTIVE_PATIENCE_SECONDS,
    NAMES,
    PATIENCE_SECONDS,
    VERA,
    Button,
    Scene,
    StoryFailed,
)

TITLE: Final = "the CRM answers in 20 s"
REASON: Final = "It works again"
_NUMBERS: Final = {name: number for number, name in NAMES.items()}
_CALLABLE: Final = (ANNA, BORIS, VERA, GLEB)
_CALLED = "🚨"
_CYRILLIC = re.compile("[А-я]{3}")


class Incident:
    """Plays the chapter; what it checks, it reads at the chat and in the outbox."""

    def __init__(self, scene: Scene) -> None:
        """Play in this scene."""
        self._scene, self._world = scene, scene.world

    async def play(self) -> str:
        """Play it and return the run's id.

        Raises:
            StoryFailed: at the first thing that did not happen.
        """
        copies = await self._copies()
        run_id = await self._opened_while_the_bot_dies()
        owner = await self._taken(run_id)
        await self._read_in_russian(run_id)
        calls = {
            NAMES[user]: len(await self._calls(user)) for user in _CALLABLE
        }  # later they say that it is over
        await self._resolved(run_id, owner)
        await self._world.runs.result(run_id)  # the card shows the end then
        await self._check_chat_and_outbox(calls, copies)
        return run_id

    # --- what happens -----------------------------------------------------------------------------------

    async def _opened_while_the_bot_dies(self) -> str:
        scene = self._scene
        scene.screen.enter(
            "customers wait: an incident is opened, and the bot is killed before it has told anybody"
        )
        seen = await scene.known_runs()
        await scene.ask_to_start(VERA, f"/incident {TITLE} tier=gold value=250000")
        await self._until_begun(seen)
        await asyncio.to_thread(self._world.stack.children["bot"].kill)
        scene.screen.say("demo", "kill -9 of `holdfast bot`")
        run_id = await scene.until_started("the incident is open", seen)
        waiting = await scene.until("messages wait in the outbox", self._waiting)
        scene.screen.say("desk", f"holdfast outbox list: {waiting} wait, nobody sends")
        await asyncio.to_thread(self._world.stack.start, "bot")
        scene.screen.say("demo", "`holdfast bot` is started again")
        await scene.until("every message is sent", self._nothing_waits)
        scene.facts.saw(
            "what waited while nobody could send it was sent by the next bot", f"{waiting} messages"
        )
        return run_id

    async def _until_begun(self, seen: set[str]) -> None:
        """Return at the run's very first moment, while its messages are still being written."""
        patience = INTERACTIVE_PATIENCE_SECONDS if self._scene.interactive else PATIENCE_SECONDS
        try:
            async with asyncio.timeout(patience):
                while await self._scene.known_runs() <= seen:  # noqa: ASYNC110  the server signals nothing
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise StoryFailed(f"no incident was opened within {patience:.0f} s") from None

    async def _taken(self, run_id: str) -> int:
        """Have whoever is on duty take it; return who that is."""
        scene = self._scene
        on_duty = json.loads(await scene.command("oncall", "--rota", "oncall", "--json"))
        name = on_duty["rotas"][0]["shifts"][0]["person"]
        user = _NUMBERS[name]
        button = await scene.until_button(f"i:{run_id}:k", chat=user)
        scene.screen.say("holdfast", f"writes to {name}: {button.text.splitlines()[0]}")
        topic = await scene.until("the incident has a topic of its own", self._topic)
        calls = await self._calls(user)
        scene.facts.check(
            "the person on duty was called in private, once; the incident has a topic of its own",
            holds=len(calls) == 1 and TITLE in topic,
            seen=f"{name}: {len(calls)} call; topic “{topic}”",
        )
        if scene.interactive:
            scene.screen.say("you", f"take the incident as {name}, in the private chat or in the topic")
        else:
            scene.screen.say(name, f"taps {button.label}: {await scene.tap(user, button, chat=user)}")
        await scene.until_state(run_id, RunState.ACKNOWLEDGED)
        return user

    async def _read_in_russian(self, run_id: str) -> None:
        scene = self._scene
        scene.screen.say(NAMES[GLEB], f"/run {run_id}")
        await self._world.say(GLEB, f"/run {run_id}", chat=GLEB)

        async def read() -> str | None:
            texts = [str(m.get("text", "")) for m in await self._world.messages(GLEB)]
            return next((t for t in reversed(texts) if TITLE in t and _CYRILLIC.search(t)), None)

        shown = await scene.until("gleb reads the incident in Russian", read)
        line = next(line for line in shown.splitlines() if TITLE in line)
        scene.screen.say("holdfast", line)
        scene.facts.saw("each person reads it in their own language", line)

    async def _resolved(self, run_id: str, owner: int) -> None:
        scene, name = self._scene, NAMES[owner]
        if scene.interactive:
            scene.screen.say("you", f"end incident {run_id} as {name}: It is over…, or /resolve")
        else:
            button = await scene.until_button(f"i:{run_id}:v")
            scene.screen.say(name, f"taps {button.label}: {await scene.tap(owner, button)}")
            why = await self._reason(name)
            scene.screen.say(name, f"taps {why.label}: {await scene.tap(owner, why)}")
        view = await scene.until_state(run_id, RunState.RESOLVED)
        resolution = view.incident.resolution if view.incident else ""
        scene.facts.check("it is resolved with a reason", holds=resolution, seen=view.headline)

    async def _reason(self, name: str) -> Button:
        return await self._scene.until_button("y:", f":{name}:0")

    # --- what is seen -----------------------------------------------------------------------------------

    async def _check_chat_and_outbox(self, calls: dict[str, int], copies: int) -> None:
        scene = self._scene
        listed = await scene.until("every message is sent", self._nothing_waits)
        again = await self._copies() - copies
        told = ", ".join(f"{name} {count}" for name, count in calls.items())
        scene.facts.check(
            "nobody was called or told twice, though the bot was killed",
            holds=again == 0 and max(calls.values()) == 1,
            seen=f"{again} copies in the chats; calls: {told}",
        )
        counts, shown = listed["counts"], [m["state"] for m in listed["messages"]]
        doubtful = counts.get("uncertain", 0)
        scene.facts.check(
            "the outbox is empty: nothing waits, and nothing is uncertain that is not shown",
            holds=not counts.get("queued", 0)
            and not counts.get("sending", 0)
            and shown.count("uncertain") == doubtful,
            seen=f"{counts.get('sent', 0)} sent, {doubtful} uncertain, {counts.get('dead', 0)} dead",
        )

    async def _topic(self) -> str | None:
        for message in await self._world.messages():
            if (made := message.get("forum_topic_created")) and TITLE in str(made):
                return str(made["name"])
        return None

    async def _calls(self, user: int) -> list[str]:
        texts = [str(message.get("text", "")) for message in await self._world.messages(user)]
        return [text for text in texts if TITLE in text and text.startswith(_CALLED)]

    async def _waiting(self) -> int:
        counts = (await self._outbox())["counts"]
        return int(counts.get("queued", 0))

    async def _nothing_waits(self) -> dict[str, Any] | None:
        """Return the list of the outbox once nothing waits."""
        listed = await self._outbox()
        counts = listed["counts"]
        return None if counts.get("queued", 0) or counts.get("sending", 0) else listed

    async def _outbox(self) -> dict[str, Any]:
        code, printed = await self._world.command("outbox", "list", "--json")
        return dict(json.loads(printed)) if not code else {"counts": {"queued": -1}, "messages": []}

    async def _copies(self) -> int:
        """Count the messages that the chats have got more than once."""
        duplicates = (await self._world.sent())["duplicates"]
        return sum(len(item["message_ids"]) - 1 for item in duplicates)
