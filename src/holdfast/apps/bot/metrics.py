from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

_TAP_BUCKETS = (0.1, 0.25, 0.5, 0.75, 1, 2, 4, 8, 12, 15)
_OUTCOME_BUCKETS = (0.1, 0.25, 0.5, 1, 2, 5, 15, 60, 300, 900)


class BotMetrics:
    """What the bot counts.

    Args:
        registry: where the metrics are exposed; one `BotMetrics` a registry.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self.updates = Counter(
            "holdfast_bot_updates",
            "Telegram updates by outcome: handled, uncertain, retried, kept, given_up, quarantined",
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
            buckets=_TAP_BUCKETS,
            registry=registry,
        )
        self.strangers_ignored = Counter(
            "holdfast_bot_strangers_ignored",
            "Messages and taps of unknown people that were not answered",
            registry=registry,
        )
        self._count_intake(registry)

    def _count_intake(self, registry: CollectorRegistry) -> None:
        self.tap_outcome_seconds = Histogram(
            "holdfast_bot_tap_outcome_seconds",
            "Seconds from receiving a tap to telling what became of it",
            buckets=_OUTCOME_BUCKETS,
            registry=registry,
        )
        self.updates_held = Gauge(
            "holdfast_bot_updates_held",
            "Updates in the hands of this process: queued for a handler, or kept until Temporal answers",
            ["state"],
            registry=registry,
        )
        self.inbox_failed = Counter(
            "holdfast_bot_inbox_failed",
            "Times the store of updates did not answer, by what was asked of it",
            ["operation"],
            registry=registry,
        )
        self.unidentified = Counter(
            "holdfast_bot_updates_unidentified",
            "What arrived in place of an update and has no update_id",
            registry=registry,
        )
        self.webhook_requests = Counter(
            "holdfast_bot_webhook_requests",
            "Requests to the webhook by HTTP status",
            ["status"],
            registry=registry,
        )
        self.conflict_pause_seconds = Gauge(
            "holdfast_bot_conflict_pause_seconds",
            "How long this process steps back because another one polls with its token; 0 while none does",
            registry=registry,
        )
        self.leading = Gauge(
            "holdfast_bot_leading", "1 while this process takes and handles updates", registry=registry
        )
