"""The time by which runs are set."""

from datetime import datetime

from temporalio import activity


def server_now() -> datetime:
    """Return the server's time, by which the run's moments are set; it may be ahead of this machine's.

    An attempt that waited for a worker was scheduled long before it started.
    """
    info = activity.info()
    return max(info.current_attempt_scheduled_time, info.started_time)
