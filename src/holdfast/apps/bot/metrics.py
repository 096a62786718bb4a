from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram


class BotMetrics:
    """What the bot counts.

    Args:
        registry: where the metrics are exposed; one `BotMetrics` a registry.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self.updates = Counter(
            "holdfast_bot_updates",
            "Telegram updates by outcome: handled, retried, quarantined",
            ["outcome"],
            registry=registry,
        )
        self.polls_failed = Counter(
            "holdfast_bot_polls_failed",
            "getUpdates requests without an answer that could be used, by error",
            ["error"],
            registry=registry,
        )
        self.taps = Counter(
            "holdfast_bot_taps",
            "Taps on buttons, by what became of them",
            ["answer"],
            registry=registry,
        )
        self.tap_seconds = Histogram(
            "holdfast_bot_tap_answer_seconds",
            "Seconds from receiving a tap to Telegram's taking its answer",
            buckets=(0.1, 0.25, 0.5, 1, 2, 4, 8, 12, 15),
            registry=registry,
        )
        self.strangers_ignored = Counter(
            "holdfast_bot_strangers_ignored",
            "Messages of unknown people that were not answered",
            registry=registry,
        )
