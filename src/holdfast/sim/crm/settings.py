"""What can be set of the portal."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class CrmSettings:
    """Limits, speed and contents of the portal.

    The limits are the vendor's for a small cloud portal; a self-hosted portal has far larger ones, or none (0).

    Attributes:
        user, code: the incoming webhook, `/rest/{user}/{code}/…`.
        burst, per_second: leaky bucket: how many calls at once, how fast it empties; burst 0 is no limit.
        operating_limit_seconds: working time of one method within ten minutes; 0 switches the limit off.
        workers: calls worked on at once; further ones queue.
        service_seconds: mean working time of a plain call on an idle portal.
        contention: by how much each further call at work slows a call down, as a part of its working time.
        idle_drop_seconds: the front forgets a connection that was idle for longer, without telling the client.
        contacts: how many contacts are there from the start.
        seed: of the generated contents and of the spread of working times.
    """

    user: int = 1
    code: str = "SECRET"
    burst: int = 50
    per_second: float = 2.0
    operating_limit_seconds: float = 480.0
    workers: int = 40
    service_seconds: float = 0.045
    contention: float = 0.125
    idle_drop_seconds: float = 4.0
    contacts: int = 2000
    seed: int = 1

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            ValueError: names the setting and what it may be.
        """
        for name in ("workers", "service_seconds", "per_second", "contacts"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above 0, not {getattr(self, name)}")
        for name in ("burst", "operating_limit_seconds", "contention", "idle_drop_seconds"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be 0 or more, not {getattr(self, name)}")
