"""Users of Locust with a constant throughput each; runs in Locust's environment, configured by variables."""

# Locust is in an environment of its own, so that its types are not known here.
# pyright: basic, reportMissingImports=false

import json
import os
import sys

from locust import FastHttpUser, constant_throughput, events, task

_STEPS = os.environ["STEPS"]


class Customer(FastHttpUser):
    """Makes its share of the rate: one GET, or two steps with an extracted value and a check."""

    host = os.environ["URL"]
    wait_time = constant_throughput(float(os.environ["RATE"]) / int(os.environ["USERS"]))

    @task
    def session(self) -> None:
        """Make one session."""
        if _STEPS == "1":
            self.client.get("/k")
            return
        opened = self.client.post("/tickets", json={"text": "Where is my order?"})
        ticket = opened.json()["ticket"]
        with self.client.get(f"/tickets/{ticket}", name="ticket", catch_response=True) as seen:
            if seen.status_code != 200 or seen.json()["ok"] is not True:  # noqa: PLR2004  a status
                seen.failure("not the ticket")


@events.quitting.add_listener
def say(environment, **_) -> None:  # noqa: ANN001, ANN003  Locust is not in our environment, nor its types
    """Print what Locust measured as one line of JSON."""
    total = environment.stats.total
    said = {
        "requests": total.num_requests,
        "p95_ms": total.get_response_time_percentile(0.95),
        "p99_ms": total.get_response_time_percentile(0.99),
        "maximum_ms": total.max_response_time,
        "errors_percent": 100 * total.fail_ratio,
    }
    sys.stdout.write(json.dumps(said) + "\n")
