"""The demo's story: a live system gets sick, is fixed in stages, has a stage undone, and people are called."""

import json

from holdfast.domain.view import RunState
from workers.demo.scene import ANNA, BORIS, GLEB, NAMES, VERA, Scene
from workers.demo.screen import readable
from workers.demo.stack import NORMAL_RATE
from workers.demo.story_changes import OneChange
from workers.demo.story_incident import Incident

# The people are part of the story for whoever plays it.
__all__ = ["ANNA", "BORIS", "CALM_P95_SECONDS", "GLEB", "NAMES", "SURGE", "VERA", "Story"]

SURGE = 3
CALM_P95_SECONDS = 1.0


class Story(Scene):
    """Plays the story on a running stack; `facts` collects what was seen."""

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
        await OneChange(self).play()
        await self._every_effect_once()
        await Incident(self).play()

    # --- chapters ---------------------------------------------------------------------------------------

    async def _normal_traffic(self) -> dict[str, float | None]:
        self.screen.enter("normal traffic")
        numbers = await self.until_numbers("normal traffic is measured", _all_there, settle_seconds=15)
        self.screen.say("metrics", self.read_out_now("latency_p95_s", "errors_percent", "gold_wait_s"))
        self.facts.check(
            "normal traffic is healthy",
            holds=_number(numbers, "errors_percent") < 2 and _number(numbers, "latency_p95_s") < 1,  # noqa: PLR2004  sane
            seen=self.read_out_now("latency_p95_s", "errors_percent"),
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

        numbers = await self.until_numbers("the system gets sick under the campaign", sick, settle_seconds=15)
        seen = self.read_out_now("latency_p95_s", "bot_429_per_s", "gold_wait_s", "escalations_waiting")
        self.screen.say("metrics", seen)
        self.facts.saw("three times the traffic makes it sick: slow, 429s, late escalations", seen)
        return numbers

    async def _first_rollout(self, before: dict[str, float | None], sick: dict[str, float | None]) -> str:
        self.screen.enter("on-call starts the staged rollout from Telegram")
        run_id = await self.start_from_chat(ANNA, "support-surge-hasty")
        await self.approve_in_telegram(run_id, "bot-rate-limit", BORIS, stranger=True)
        await self.until_stage(run_id, "bot-rate-limit", "promoted")
        await self.until_numbers("the 429s are gone", lambda now: _number(now, "bot_429_per_s") < 1)
        self.screen.say("metrics", self.read_out_now("bot_429_per_s", "delivered_per_s"))
        await self.approve_in_ui(run_id, "crm-pool", VERA)
        await self.until_stage(run_id, "crm-pool", "promoted")
        limit = max(2 * _number(before, "latency_p95_s"), _number(sick, "latency_p95_s") / 3)
        recovered = await self.until_numbers(
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
        view = await self.until_state(run_id, RunState.ROLLED_BACK)
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
        await self.until_numbers(
            "the system is calm again",
            lambda now: _number(now, "latency_p95_s") < CALM_P95_SECONDS and _number(now, "errors_percent") < 1,
            settle_seconds=12,
        )
        self.screen.say("metrics", self.read_out_now("latency_p95_s", "errors_percent"))
        self.screen.enter("the corrected runbook is started")
        run_id = await self.start_from_chat(ANNA, "support-surge")
        gate = await self.approve_in_telegram(run_id, "escalation-order", GLEB)
        view = await self.until_state(run_id, RunState.PROMOTED)
        states = {s.name: str(s.state) for s in view.stages}
        self.facts.check(
            "the good variant went through; stages already in place were not asked again",
            holds=list(states.values()) == ["already in place", "already in place", "promoted"]
            and view.closed_gates[0].id == gate.id,
            seen=", ".join(f"{name}: {state}" for name, state in states.items()),
        )  # fmt: skip
        await self.until_numbers(
            "gold escalations are quick again",
            lambda now: _number(now, "gold_wait_s") < 5,  # noqa: PLR2004  seconds
        )
        self.facts.saw("gold customers are answered first", self.read_out_now("gold_wait_s"))
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
            await self.command("verdict", "label", run_id, stage, label, "--as", NAMES[ANNA])
        compared = json.loads(await self.command("verdict", "compare", "--json"))
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

    async def _every_effect_once(self) -> None:
        log = await self.world.config_log()
        keys = [entry["key"] for entry in log]
        self.facts.check(
            "every change happened exactly once", holds=len(keys) == len(set(keys)), seen=f"{len(keys)} changes"
        )


def _number(numbers: dict[str, float | None], name: str) -> float:
    return numbers[name] or 0.0


def _all_there(numbers: dict[str, float | None]) -> bool:
    return numbers["latency_p95_s"] is not None and numbers["gold_wait_s"] is not None
