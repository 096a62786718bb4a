"""What the demo claims at its end: each line was seen through the system's own doors."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Fact:
    """One claim, whether it held, and the numbers behind it."""

    claim: str
    holds: bool
    seen: str


@dataclass
class Facts:
    """The claims so far, in the order in which they were checked."""

    checked: list[Fact] = field(default_factory=list[Fact])

    def check(self, claim: str, *, holds: object, seen: object = "") -> bool:
        """Record whether a claim held; return that."""
        self.checked.append(Fact(claim, bool(holds), str(seen)))
        return bool(holds)

    def saw(self, claim: str, seen: object) -> None:
        """Record what the story waited for and got; had it not come, the story would have ended there."""
        self.check(claim, holds=True, seen=seen)

    @property
    def all_hold(self) -> bool:
        """Whether there was something to check and every claim held."""
        return bool(self.checked) and all(fact.holds for fact in self.checked)
