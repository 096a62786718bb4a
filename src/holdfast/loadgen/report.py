"""What a generator reports while it runs, and what shards are given to do: plain data that travels.

Times are seconds from the test's agreed start (`offset`), latencies are microseconds in the histograms.
"""

from pydantic import BaseModel, Field

from holdfast.runbook.kinds.load import LoadSpec


class Share(BaseModel):
    """Which part of a test one generator makes.

    Arrival number k of the whole test (from 0) belongs to the generator with `k % shards == shard`. All
    arrivals are computed from the file and its seed alone, so any generator can go on where another stopped.

    Attributes:
        spec: the test, reviewed; its secrets are still references.
        shard: this one, from 0.
        shards: how many there are.
        start_at: agreed start of the test, seconds of the epoch.
        from_offset: arrivals that were due before this many seconds after the start are not made: another
            generator has made them, or nobody could.
        secrets: what the references of `spec` stand for, by `env:NAME` or `file:PATH`; never shown.
        name: of the run, for the identifying header.
        lease_seconds: it stops by itself when nothing came over standard input for so long; 0: it does not.
    """

    spec: LoadSpec
    shard: int = Field(default=0, ge=0)
    shards: int = Field(default=1, ge=1)
    start_at: float
    from_offset: float = 0.0
    secrets: dict[str, str] = Field(default_factory=dict, repr=False)
    name: str = ""
    lease_seconds: float = Field(default=0.0, ge=0)


class StepSecond(BaseModel):
    """One step in one second of *intended* starts; everything counts where its request was due.

    Attributes:
        due: requests whose moment lies in this second. A later step's moment is the end of the answer before
            plus its think time.
        late: of those, sent later than `on_time` after their moment.
        unsent: never sent: over the ceiling of requests under way, or the generator was stopped.
        good: answered, all checks held.
        errors: the others, by kind: `timeout`, `connect`, `protocol`, `status_503`, `check_json`,
            `check_contains`, `check_within`, `extract`, `closed`.
        sent_bytes, received_bytes: with headers.
        latency: an encoded `Histogram` of all that were answered, from their moment to the end of the answer.
    """

    due: int = 0
    late: int = 0
    unsent: int = 0
    good: int = 0
    errors: dict[str, int] = Field(default_factory=dict)
    sent_bytes: int = 0
    received_bytes: int = 0
    latency: str = ""


class Health(BaseModel):
    """How the generator itself did in one second.

    Attributes:
        lag_ms: the longest time by which it came too late to a moment.
        busy_percent: of one core.
        in_flight: requests under way at the second's end.
        connections: open ones.
    """

    lag_ms: float = 0.0
    busy_percent: float = 0.0
    in_flight: int = 0
    connections: int = 0


class Second(BaseModel):
    """One second of one generator, by its number from the agreed start.

    A second may be reported more than once: what is added later (answers that came later) comes as a further
    `Second` of the same number, and the two are added up.

    Attributes:
        steps: by the step's name.
        health: None where only later answers are added.
    """

    number: int
    steps: dict[str, StepSecond] = Field(default_factory=dict)
    health: Health | None = None


class Report(BaseModel):
    """What a generator says each quarter of a second or so; nothing is said twice.

    Attributes:
        offset: how far it has come, in seconds from the agreed start; all arrivals due before are made.
        seconds: what is new.
        done: the last session has ended.
        stopped: it was stopped, and why.
        client: `protocol`, or the general client that served because the scenario needs it.
    """

    shard: int
    offset: float
    seconds: list[Second] = Field(default_factory=list[Second])
    done: bool = False
    stopped: str = ""
    client: str = "protocol"
