"""What every chapter of the demo needs: people who act, and waiting for what they can see."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from holdfast.domain.gates import Gate
from holdfast.domain.view import RunState, RunView
from workers.demo.facts import Facts
from workers.demo.screen import Screen, read_out
from workers.demo.stack import CHAT_ID
from workers.demo.world import World

T = TypeVar("T")
ANNA, BORIS, VERA, GLEB, STRANGER = 1001, 1002, 1003, 1004, 1999
NAMES = {ANNA: "anna", BORIS: "boris", VERA: "vera", GLEB: "gleb", STRANGER: "mallory"}
# How long anything the story waits for may take before the demo says that it failed.
PATIENCE_SECONDS = 90.0
INTERACTIVE_PATIENCE_SECONDS = 3600.0
# Each person is told in their own language.
_LATE = ("Too late", "Слишком поздно")
_SLOW = "⏳"


class StoryFailed(Exception):
    """Something the story waits for did not happen; the text says what."""


@dataclass(frozen=True)
class Button:
    """A button in the chat.

    Attributes:
        data: what it carries.
        label: what stands on it.
        text: of the message below which it is.
    """

    message_id: int
    data: str
    label: str
    text: str


class Scene:
    """A running stack, its people, and what was seen so far."""

    def __init__(self, world: World, screen: Screen, *, interactive: bool = False) -> None:
        """Play on this world; an interactive story leaves the chat and the buttons to you."""
        self.world, self.screen, self.interactive = world, screen, interactive
        self.facts = Facts()
        self._told: set[str] = set()
        self._patience = INTERACTIVE_PATIENCE_SECONDS if interactive else PATIENCE_SECONDS

    async def command(self, *words: str) -> str:
        """Type a `holdfast` command at the desk, and return what it prints."""
        self.screen.say("desk", f"holdfast {' '.join(words)}")
        code, printed = await self.world.command(*words)
        if code:
            raise StoryFailed(f"'holdfast {' '.join(words)}' ended with {code}: {printed}")
        return printed

    # --- people -----------------------------------------------------------------------------------------

    async def start_from_chat(self, user: int, runbook: str) -> str:
        """Start a runbook by a command in the chat, and confirm it; return the run's id."""
        seen = await self.known_runs()
        await self.ask_to_start(user, f"/rollout {runbook}")
        return await self.until_started(f"'/rollout {runbook}' starts a run", seen)

    async def known_runs(self) -> set[str]:
        """Return the ids of the runs that are there."""
        return {run.run_id for run in await self.world.runs.recent()}

    async def ask_to_start(self, user: int, command: str) -> None:
        """Type a command that asks before it starts something, and confirm it."""
        name = NAMES[user]
        if self.interactive:
            self.screen.say("you", f"type into the Telegram page as {name}: {command}, and confirm it")
            return
        self.screen.say(name, command)
        await self.world.say(user, command)
        confirm = await self.until_button("y:", f":{name}:yes")
        self.screen.say("holdfast", confirm.text.splitlines()[0])
        self.screen.say(name, f"taps {confirm.label}: {await self.tap(user, confirm)}")

    async def until_started(self, what: str, seen: set[str]) -> str:
        """Wait for a run that was not there before, and return its id."""

        async def started() -> str | None:
            new = [r.run_id for r in await self.world.runs.recent() if r.run_id not in seen]
            return new[0] if new else None

        run_id = await self.until(what, started)
        self.screen.say("holdfast", f"run {run_id}: {self.world.run_url(run_id)}")
        return run_id

    async def approve_in_telegram(
        self, run_id: str, stage: str, approver: int, *, stranger: bool = False, taps: int = 1
    ) -> Gate:
        """Wait for the gate of the stage and tap its button; an interactive story waits for you to do it."""
        gate = await self.until_gate(run_id, stage)
        if stranger:
            [refused] = await self._press(STRANGER, run_id, gate)
            self.screen.say("mallory", f"taps Approve and is told: {refused}")
            still = (await self.world.runs.view(run_id)).gate
            self.facts.check(
                "a stranger's tap does not count", holds=still is not None and still.id == gate.id, seen=refused
            )
        if self.interactive:
            self._leave_to_you(gate, approver)
        else:
            answers = await self._press(approver, run_id, gate, taps=taps)
            for answer in answers:
                self.screen.say(NAMES[approver], f"taps {gate.approve_label}: {answer}")
            if taps > 1:
                late = await self._told_late(answers)
                claim = "of two taps one counts, and the other is told so"
                self.facts.check(claim, holds=len(late) == taps - 1, seen="; ".join([*late, *answers]))
        await self._until_decided(run_id, gate)
        return gate

    async def _told_late(self, answers: list[str]) -> list[str]:
        """Return what says that a tap came too late: its answer, or a message where the answer took long."""

        async def told() -> list[str]:
            chat = [str(message.get("text", "")) for message in await self.world.messages()]
            return [text for text in (*answers, *chat) if any(words in text for words in _LATE)]

        if any(answer.startswith(_SLOW) for answer in answers):
            return await self.until("the slow tap is told what became of it", told)
        return await told()

    async def approve_in_ui(self, run_id: str, stage: str, approver: int) -> None:
        """Answer the gate of the stage in the Temporal UI, with a code from the private chat."""
        gate = await self.until_gate(run_id, stage)
        if self.interactive:
            self._leave_to_you(gate, approver)
        else:
            await self._answer_in_ui(run_id, gate, approver)
        view = await self._until_decided(run_id, gate)
        if self.interactive:
            return  # which channel you take is yours
        decision = next(g for g in view.closed_gates if g.id == gate.id).decisions[0]
        seen = f"{gate.id}: {decision.by} via {decision.channel}, proof: {' + '.join(decision.proofs)}"
        claim = "one approval came through the Temporal UI, proven by a code from the private chat"
        self.facts.check(
            claim, holds=(decision.channel, decision.proofs) == ("temporal-ui", ("code",)), seen=seen
        )

    async def _answer_in_ui(self, run_id: str, gate: Gate, approver: int) -> None:
        """Try a forged answer, then have the real code sent to the private chat, and paste it."""
        name = NAMES[approver]
        forged = json.dumps({"gate": gate.id, "decision": "approve", "by": name, "evidence": gate.evidence})
        self.screen.say("mallory", f"pastes into the Temporal UI: {forged}")
        answer = await self.world.update_in_ui(run_id, "decide", forged)
        refused = str(answer.get("outcome", {}).get("failure", {}).get("message", answer))
        claim = "a name alone does not count in the Temporal UI"
        self.facts.check(claim, holds="approval code" in refused, seen=refused)
        await self.world.update_in_ui(run_id, "send_code", json.dumps({"by": name}))
        pasted = await self.until("the code is in the private chat", lambda: self._code_in_chat(approver, gate))
        self.screen.say(name, f"pastes what the bot sent: {' '.join(pasted.split())}")
        await self.world.update_in_ui(run_id, "decide", pasted)

    async def _code_in_chat(self, approver: int, gate: Gate) -> str | None:
        for message in reversed(await self.world.messages(approver)):
            text = str(message.get("text", ""))
            if '"code"' in text and gate.evidence in text:
                return text[text.index("{") : text.rindex("}") + 1]
        return None

    def _leave_to_you(self, gate: Gate, approver: int) -> None:
        what = f"approve gate {gate.id} as {NAMES[approver]} (Telegram page or Temporal UI)"
        self.screen.say("you", what)

    async def roll_back_in_telegram(self, run_id: str, user: int) -> None:
        """Tap the run's "Roll back…" and confirm what it would undo; an interactive story leaves it to you."""
        name = NAMES[user]
        if self.interactive:
            self.screen.say("you", f"tap Roll back… on run {run_id} as {name}, and confirm it")
            return
        button = await self.until_button(f"u:{run_id}:")
        self.screen.say(name, f"taps Roll back…: {await self.tap(user, button)}")
        confirm = await self.until_button("k:", ":all")
        for line in filter(None, confirm.text.splitlines()):
            self.screen.say("holdfast", line)
        self.screen.say(name, f"taps {confirm.label}: {await self.tap(user, confirm)}")

    async def until_button(self, begins: str, ends: str = "", *, chat: int = CHAT_ID) -> Button:
        """Wait until the chat shows a button that carries this; return the newest one."""

        async def shown() -> Button | None:
            for message in reversed(await self.world.messages(chat)):
                for row in message.get("reply_markup", {}).get("inline_keyboard", ()):
                    for button in row:
                        data = str(button.get("callback_data", ""))
                        if data.startswith(begins) and data.endswith(ends):
                            text = str(message.get("text", ""))
                            return Button(int(message["message_id"]), data, button["text"], text)
            return None

        return await self.until(f"the chat shows a button {begins}…{ends}", shown)

    async def _press(self, user: int, run_id: str, gate: Gate, *, taps: int = 1) -> list[str]:
        """Tap Approve as soon as the chat shows the button; return what the person is told, tap by tap."""
        button = await self.until_button(f"a:{run_id}:{gate.token}")
        return await asyncio.gather(*(self.tap(user, button) for _ in range(taps)))

    async def tap(self, user: int, button: Button, *, chat: int = CHAT_ID) -> str:
        """Tap a button as somebody; return what that person is told."""
        return await self.world.press(user, button.message_id, button.data, chat=chat)

    # --- waiting ----------------------------------------------------------------------------------------

    async def until_gate(self, run_id: str, stage: str) -> Gate:
        """Wait until the stage asks for its approval."""

        async def gate() -> Gate | None:
            view = await self._view_while_running(run_id)
            return view.gate if view.gate and view.gate.id.endswith(stage) else None

        found = await self.until(f"the gate of {stage} opens", gate)
        self.screen.say("holdfast", f"asks {', '.join(found.approvers)}: {found.title}")
        return found

    async def _until_decided(self, run_id: str, gate: Gate) -> RunView:
        async def decided() -> RunView | None:
            view = await self.world.runs.view(run_id)
            return view if any(g.id == gate.id for g in view.closed_gates) else None

        return await self.until(f"gate {gate.id} is decided", decided)

    async def until_stage(self, run_id: str, stage: str, state: str) -> None:
        """Wait until the stage stands there, and say meanwhile what happens."""

        async def reached() -> bool:
            view = await self._view_while_running(run_id)
            self._tell(view)
            return any(s.name == stage and s.state == state for s in view.stages)

        await self.until(f"stage {stage} is {state}", reached)

    async def until_state(self, run_id: str, state: RunState) -> RunView:
        """Wait until the run stands there; return what it shows then."""

        async def reached() -> RunView | None:
            view = await self.world.runs.view(run_id)
            self._tell(view)
            if view.state.ended and view.state is not state:
                raise StoryFailed(f"the run should be {state} but is {view.state}: {view.headline}")
            return view if view.state is state else None

        return await self.until(f"the run is {state}", reached)

    async def _view_while_running(self, run_id: str) -> RunView:
        view = await self.world.runs.view(run_id)
        if view.state.ended:
            raise StoryFailed(f"the run has ended early, {view.state}: {view.headline}")
        if view.gate and "-at-" in view.gate.id and not self.interactive:
            raise StoryFailed(f"an unforeseen pause: {view.gate.question}")
        return view

    def _tell(self, view: RunView) -> None:
        """Say what is new in a run's timeline and worth a line here."""
        for line in view.log:
            key = f"{view.run_id}{line.at}{line.text}"
            worth = any(word in line.text for word in ("verdict", "undo", "promoted", "rolling back"))
            if worth and key not in self._told:
                self.screen.say("holdfast", line.text)
            self._told.add(key)

    async def until_numbers(
        self,
        what: str,
        reached: Callable[[dict[str, float | None]], bool],
        *,
        settle_seconds: float = 0,
    ) -> dict[str, float | None]:
        """Wait until the numbers are like that; return them."""
        await asyncio.sleep(settle_seconds)

        async def numbers() -> dict[str, float | None] | None:
            now = await self.world.numbers()
            return now if reached(now) else None

        return await self.until(what, numbers)

    async def until(self, what: str, look: Callable[[], Awaitable[T | None]]) -> T:
        """Look until there is something; keep the screen's numbers fresh meanwhile."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._patience
        while True:
            found = await look()
            self.screen.show(await self.world.numbers())
            if found:
                return found
            if loop.time() > deadline:
                raise StoryFailed(f"it did not happen within {self._patience:.0f} s that {what}")
            await asyncio.sleep(0.5)

    def read_out_now(self, *names: str) -> str:
        """Write some of the newest numbers as one line."""
        return read_out(self.screen.numbers, *names)
