"""How the client's system works inside: fixed facts, as opposed to settings that a fix changes."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Workload:
    """Durations in seconds, parts as fractions.

    Attributes:
        pool_wait_seconds: how long a request waits for a connection to the CRM before it fails.
        desk_wait_seconds: the same for the agents' tool, which is more patient than customers are.
        crm_timeout_seconds: how long one call to the CRM may take.
        ticket_scan_seconds, profile_render_seconds, payment_seconds: the rest of the work of a ticket, a
            profile page, a checkout; done while the request holds its connection, like any session per request.
        gateway_seconds: how long the bot gateway takes for a send.
        gateway_burst: messages that a pod may send at once.
        send_attempts: refusals by the gateway after which a message is lost.
        first_backoff_seconds: pause after the first refusal; doubles each time.
        escalated_part: of the tickets, that a person must look at.
        agents_per_pod: people who work on a pod's escalations.
        talk_seconds: how long a person is busy with one escalation.
        console_refresh_seconds: how often each agent's screen shows the waiting escalations anew, in order.
        reconcile_seconds: how often the shop asks the CRM for the leads it believes to have filed there.
        longest_queue: waiting escalations of a pod; beyond it a ticket stays with the bot.
    """

    pool_wait_seconds: float = 3.3
    desk_wait_seconds: float = 6.0
    crm_timeout_seconds: float = 8.0
    ticket_scan_seconds: float = 0.21
    profile_render_seconds: float = 0.16
    payment_seconds: float = 0.14
    gateway_seconds: float = 0.05
    gateway_burst: float = 4.0
    send_attempts: int = 5
    first_backoff_seconds: float = 0.5
    escalated_part: float = 0.75
    agents_per_pod: int = 5
    talk_seconds: float = 15.0
    console_refresh_seconds: float = 1.0
    reconcile_seconds: float = 2.0
    longest_queue: int = 60
