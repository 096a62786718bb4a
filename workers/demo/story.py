"""The demo's story: an incident on a live system, fixed in stages that people approve."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import TypeVar

from holdfast.domain.gates import Gate
from holdfast.domain.view import RunState, RunView
from workers.demo.facts import Facts
from workers.demo.screen import Screen, read_out, readable
from workers.demo.stack import NORMAL_RATE
from workers.demo.world import World

T = TypeVar("T")
ANNA, BORIS, VERA, GLEB, STRANGER = 1001, 1002, 1003, 1004, 1999
NAMES = {ANNA: "anna", BORIS: "boris", VERA: "vera", GLEB: "gleb", STRANGER: "mallory"}
SURGE = 3
CALM_P95_SECONDS = 1.0
# How long anything the story waits for may take before the demo says that it failed.
PATIENCE_SECONDS = 90.0
INTERACTIVE_PATIENCE_SECONDS = 3600.0


class StoryFailed(Exception):
    """Something the story waits for did not happen; the text says what."""


class Story:
    """Plays the story on a running stack; `facts` collects what was seen."""

    def __init__(self, world: World, screen: Screen, *, interactive: bool = False) -> None:
        """Play on this world; an interactive story leaves the chat and the buttons to you."""
        self.world, self.screen, self.interactive = world, screen, interactive
        self.facts = Facts()
        self._told: set[str] = set()
        self._patience = INTERACTIVE_PATIENCE_SECONDS if interactive else PATIENCE_SECONDS

    async def play(self) -> None:
        """Play it all.

        Raises:
            StoryFailed: at the first thing that did not happen.
        """
        before = await self._normal_traffic()
        sick = await self._surge(before)
        first = await self._first_rollout(before, sick)
        await self._bad_variant(first)
        second = await self._good_variant()
        await self._review(first, second)
        await self._every_effect_once()

    # --- chapters ---------------------------------------------------------------------------------------

    async def _normal_traffic(self) -> dict[str, float | None]:
        self.screen.enter("normal traffic")
        numbers = await self._until_numbers("normal traffic is measured", _all_there, settle_seconds=15)
        self.screen.say("metrics", self._read_out("latency_p95_s", "errors_percent", "gold_wait_s"))
        self.facts.check(
            "normal traffic is healthy",
            holds=_number(numbers, "errors_percent") < 2 and _number(numbers, "latency_p95_s") < 1,  # noqa: PLR2004  sane
            seen=self._read_out("latency_p95_s", "errors_percent"),
        )
        return numbers

    async def _surge(self, before: dict[str, float | None]) -> dict[str, float | None]:
        self.screen.enter(f"the campaign starts: {SURGE} times the customers")
        await self.world.set_rate(NORMAL_RATE * SURGE)
        limit = 4 * _number(before, "latency_p95_s")

        def sick(now: dict[str, float | None]) -> bool:
            return (
                _number(now, "latency_p95_s") > limit
                and _number(now, "bot_429_per_s") > 1
                and _number(now, "gold_wait_s") > 2 * _number(before, "gold_wait_s")
            )

        numbers = await self._until_numbers("the system gets sick under the campaign", sick, settle_seconds=15)
        seen = self._read_out("latency_p95_s", "bot_429_per_s", "gold_wait_s", "escalations_waiting")
        self.screen.say("metrics", seen)
        self.facts.saw("three times the traffic makes it sick: slow, 429s, late escalations", seen)
        return numbers

    async def _first_rollout(self, before: dict[str, float | None], sick: dict[str, float | None]) -> str:
        self.screen.enter("on-call starts the staged rollout from Telegram")
        run_id = await self.start_from_chat(ANNA, "support-surge-hasty")
        await self.approve_in_telegram(run_id, "bot-rate-limit", BORIS, stranger=True)
        await self._until_stage(run_id, "bot-rate-limit", "promoted")
        await self._until_numbers("the 429s are gone", lambda now: _number(now, "bot_429_per_s") < 1)
        self.screen.say("metrics", self._read_out("bot_429_per_s", "delivered_per_s"))
        await self._approve_in_ui(run_id, "crm-pool", VERA)
        await self._until_stage(run_id, "crm-pool", "promoted")
        limit = max(2 * _number(before, "latency_p95_s"), _number(sick, "latency_p95_s") / 3)
        recovered = await self._until_numbers(
            "the latency recovers under the campaign", lambda now: _number(now, "latency_p95_s") < limit
        )
        then = readable("latency_p95_s", sick["latency_p95_s"])
        seen = f"p95 {then} → {readable('latency_p95_s', recovered['latency_p95_s'])}"
        self.screen.say("metrics", seen)
        self.facts.saw("stages 1 and 2 were approved and promoted, and the metrics recovered", seen)
        return run_id

    async def _bad_variant(self, run_id: str) -> None:
        self.screen.enter("stage 3 carries a mistake: the canary meets it first")
        before = await self.world.config()
        gate = await self.approve_in_telegram(run_id, "escalation-order", GLEB, taps=2)
        view = await self._until_state(run_id, RunState.ROLLED_BACK)
        verdict = view.verdict
        seen = f"risk {verdict.risk} at {verdict.share_percent} % of the traffic" if verdict else "no verdict"
        automatic = not any(g.id.startswith(f"{gate.id}-at-") and g.decisions for g in view.closed_gates)
        self.facts.check(
            "the bad variant was rolled back without a person", holds=automatic and verdict, seen=seen
        )
        now = await self.world.config()
        same = all(before[part] == now[part] for part in ("stable", "canary", "canary_share_percent"))
        self.facts.check(
            "the rollback is proven at the target",
            holds=same and "verified" in view.headline,
            seen=view.headline[view.headline.find("Undone") :],
        )

    async def _good_variant(self) -> str:
        self.screen.enter("the people wait until the pod that carried the mistake is well again")
        await self._until_numbers(
            "the system is calm again",
            lambda now: _number(now, "latency_p95_s") < CALM_P95_SECONDS and _number(now, "errors_percent") < 1,
            settle_seconds=12,
        )
        self.screen.say("metrics", self._read_out("latency_p95_s", "errors_percent"))
        self.screen.enter("the corrected runbook is started")
        run_id = await self.start_from_chat(ANNA, "support-surge")
        gate = await self.approve_in_telegram(run_id, "escalation-order", GLEB)
        view = await self._until_state(run_id, RunState.PROMOTED)
        states = {s.name: str(s.state) for s in view.stages}
        self.facts.check(
            "the good variant went through; stages already in place were not asked again",
            holds=list(states.values()) == ["already in place", "already in place", "promoted"]
            and view.closed_gates[0].id == gate.id,
            seen=", ".join(f"{name}: {state}" for name, state in states.items()),
        )  # fmt: skip
        await self._until_numbers(
            "gold escalations are quick again",
            lambda now: _number(now, "gold_wait_s") < 5,  # noqa: PLR2004  seconds
        )
        self.facts.saw("gold customers are answered first", self._read_out("gold_wait_s"))
        return run_id

    async def _review(self, first: str, second: str) -> None:
        self.screen.enter("the review says which stages were good, and whose verdicts were right")
        found = {
            (first, "bot-rate-limit"): "good",
            (first, "crm-pool"): "good",
            (first, "escalation-order"): "bad",
            (second, "escalation-order"): "good",
        }
        for (run_id, stage), label in found.items():
            await self._command("verdict", "label", run_id, stage, label, "--as", NAMES[ANNA])
        compared = json.loads(await self._command("verdict", "compare", "--json"))
        champion = next(score for score in compared["scores"] if score["deciding"])
        seen = (
            f"{champion['model']}: {champion['true_positives']} of 1 bad stage stopped, "
            f"{champion['false_positives']} of 3 good ones"
        )
        right = (champion["true_positives"], champion["false_positives"]) == (1, 0)
        self.facts.check("the deciding model was right about every stage", holds=right, seen=seen)
        for score in compared["scores"]:
            self.screen.say(
                "holdfast",
                f"{score['model']}: stopped {score['true_positives']} of 1 bad stage "
                f"and {score['false_positives']} of 3 good ones",
            )

    async def _command(self, *words: str) -> str:
        """Type a `holdfast` command at the desk, and return what it prints."""
        self.screen.say("desk", f"holdfast {' '.join(words)}")
        code, printed = await self.world.command(*words)
        if code:
            raise StoryFailed(f"'holdfast {' '.join(words)}' ended with {code}: {printed}")
        return printed

    async def _every_effect_once(self) -> None:
        log = await self.world.config_log()
        keys = [entry["key"] for entry in log]
        self.facts.check(
            "every change happened exactly once", holds=len(keys) == len(set(keys)), seen=f"{len(keys)} changes"
        )

    # --- people -----------------------------------------------------------------------------------------

    async def start_from_chat(self, user: int, runbook: str) -> str:
        """Start a runbook by a command in the chat; return the run's id."""
        seen = {run.run_id for run in await self.world.runs.recent()}
        if self.interactive:
            self.screen.say("you", f"type into the Telegram page as {NAMES[user]}: /rollout {runbook}")
        else:
            self.screen.say(NAMES[user], f"/rollout {runbook}")
            await self.world.say(user, f"/rollout {runbook}")

        async def started() -> str | None:
            new = [r.run_id for r in await self.world.runs.recent() if r.run_id not in seen]
            return new[0] if new else None

        run_id = await self._until(f"'/rollout {runbook}' starts a run", started)
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
                late = [answer for answer in answers if answer.startswith("Too late")]
                claim = "of two taps one counts, and the other is told so"
                self.facts.check(claim, holds=len(late) == taps - 1, seen="; ".join(answers))
        await self._until_decided(run_id, gate)
        return gate

    async def _approve_in_ui(self, run_id: str, stage: str, approver: int) -> None:
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
        pasted = await self._until(
            "the code is in the private chat", lambda: self._code_in_chat(approver, gate)
        )
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

    async def _press(self, user: int, run_id: str, gate: Gate, *, taps: int = 1) -> list[str]:
        """Tap Approve as soon as the chat shows the button; return what the person is told, tap by tap."""
        data = f"a:{run_id}:{gate.token}"

        async def shown() -> int | None:
            for message in reversed(await self.world.messages()):
                if data in str(message.get("reply_markup", "")):
                    return int(message["message_id"])
            return None

        message_id = await self._until("the chat shows the gate's buttons", shown)
        presses = (self.world.press(user, message_id, data) for _ in range(taps))
        return await asyncio.gather(*presses)

    # --- waiting ----------------------------------------------------------------------------------------

    async def until_gate(self, run_id: str, stage: str) -> Gate:
        """Wait until the stage asks for its approval."""

        async def gate() -> Gate | None:
            view = await self._view_while_running(run_id)
            return view.gate if view.gate and view.gate.id.endswith(stage) else None

        found = await self._until(f"the gate of {stage} opens", gate)
        self.screen.say("holdfast", f"asks {', '.join(found.approvers)}: {found.title}")
        return found

    async def _until_decided(self, run_id: str, gate: Gate) -> RunView:
        async def decided() -> RunView | None:
            view = await self.world.runs.view(run_id)
            return view if any(g.id == gate.id for g in view.closed_gates) else None

        return await self._until(f"gate {gate.id} is decided", decided)

    async def _until_stage(self, run_id: str, stage: str, state: str) -> None:
        async def reached() -> bool:
            view = await self._view_while_running(run_id)
            self._tell(view)
            return any(s.name == stage and s.state == state for s in view.stages)

        await self._until(f"stage {stage} is {state}", reached)

    async def _until_state(self, run_id: str, state: RunState) -> RunView:
        async def reached() -> RunView | None:
            view = await self.world.runs.view(run_id)
            self._tell(view)
            if view.state.ended and view.state is not state:
                raise StoryFailed(f"the run should be {state} but is {view.state}: {view.headline}")
            return view if view.state is state else None

        return await self._until(f"the run is {state}", reached)

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

    async def _until_numbers(
        self,
        what: str,
        reached: Callable[[dict[str, float | None]], bool],
        *,
        settle_seconds: float = 0,
    ) -> dict[str, float | None]:
        await asyncio.sleep(settle_seconds)

        async def numbers() -> dict[str, float | None] | None:
            now = await self.world.numbers()
            return now if reached(now) else None

        return await self._until(what, numbers)

    async def _until(self, what: str, look: Callable[[], Awaitable[T | None]]) -> T:
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

    def _read_out(self, *names: str) -> str:
        return read_out(self.screen.numbers, *names)


def _number(numbers: dict[str, float | None], name: str) -> float:
    return numbers[name] or 0.0


def _all_there(numbers: dict[str, float | None]) -> bool:
    return numbers["latency_p95_s"] is not None and numbers["gold_wait_s"] is not None
