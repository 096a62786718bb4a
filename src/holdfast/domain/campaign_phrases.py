"""What campaigns say of themselves, as whole sentences with placeholders.

A run keeps them in English; whoever shows them recognises them by these patterns.
"""

from typing import Final

# --- headlines and lines of the timeline ---------------------------------------------------------------------
READING: Final = "reading the campaign"
STARTED: Final = "started by {by}"
UNUSABLE: Final = "the campaign cannot be used: {why}"
RUNS_ALREADY: Final = "another run of this campaign is under way: {run}"
PREPARES: Final = "load tests, roles and tasks; the sign-off is asked for on {at}"
TESTED: Final = "load test {run}: {what}"
DECIDED: Final = "load test {run}: {by} decided '{go}'"
TESTS: Final = "a load test runs: {run}"
TEST_WANTED: Final = "{by} wants a load test at once"
TEST_UNREADABLE: Final = "a message about a load test could not be read; nothing follows from it"
TESTS_UNKNOWN: Final = "earlier load tests are not known: {why}"
TEST_BROKE: Final = "the load test could not be carried out: {why}"
NEWER_TEST: Final = "a newer load test came to something else"
NOT_RETESTED: Final = "no load test allows the window to open, and nobody wants another one"
SIGNED: Final = "signed off; the window opens on {at}"
NOT_SIGNED: Final = "the window was not signed off"
CLOSED_BEFORE: Final = "the window closed before it was signed off"
VOIDED: Final = "a load test failed after the sign-off: {what}"
FROZEN: Final = "planned rollouts wait until the window has closed; fixes go on"
NOT_FROZEN: Final = "planned rollouts could not be frozen: {why}"
OPENED: Final = "the window is open and watched until {at}"
BREACH: Final = "{title} is in breach: {what}"
BREACH_INCIDENT: Final = "incident {run} was opened for it"
NO_INCIDENT: Final = "no incident could be opened: {why}"
NOBODY_CALLED: Final = "{campaign}: {title} is in breach, and nobody could be called: {why}"
RECOVERED: Final = "{title} is well again since {at}, after {n} min"
RECOVERY_NOTE: Final = "The watch of {run} sees it well again: {what}"
BLIND: Final = "the metrics do not answer, so nobody knows how the contexts stand: {why}"
SEES_AGAIN: Final = "the metrics answer again"
CONTEXT_BLIND: Final = "{title}: nothing is known: {why}"
CONTEXT_SEEN: Final = "{title}: something is known again"
BUDGET: Final = "{title}: {n} % of the error budget of '{wanted}' is left"
BUDGET_SPENT: Final = "{title}: the error budget of '{wanted}' is used up"
BREACH_TITLE: Final = "{campaign}: customers cannot {what} as promised ({title})"
BREACH_UNNAMED: Final = "{campaign}: {title} is in breach"
NOT_WATCHED: Final = "the watch could not be carried out: {why}; it is tried again"
NO_WATCHER: Final = "no worker looks at the metrics"
ALL_WELL: Final = "all contexts are well"
SOME_BROKEN: Final = "in breach: {names}"
STILL_BROKEN: Final = (
    "{title} was still in breach when the window closed; incident {run} goes on without the watch"
)
CLOSED: Final = "the window has closed; the report follows"
FINISHED: Final = "breaches: {n}; the report is made"
NO_REPORT: Final = "the report could not be made: {why}; `holdfast report` makes it from the store"
CANCELLED: Final = "cancelled by request; nothing is watched any more, and nothing is frozen"
CANCELLED_OPEN: Final = (
    "cancelled by request in its window: nothing is watched any more, and nothing is frozen; tell the client"
)
UNWATCHED: Final = "The watch of {run} is over, so nobody here sees when it is well again."

# --- what its questions rest on ------------------------------------------------------------------------------
FACT_TEST: Final = "Load test of {at}: {what}"
FACT_CARRIED: Final = (
    "Carried: {n} sessions a second. Expected at the peak: {m}, with the safety factor: {high}."
)
FACT_EXPECTED: Final = "Expected at the peak: {m} sessions a second, with the safety factor: {high}."
FACT_WANTED: Final = "It had to carry {value} sessions a second."
FACT_DECIDED: Final = "{names} decided: {what}."
FACT_LIMITS: Final = "It goes with limits: {what}"
FACT_OPENS: Final = "The window opens on {at}."

# --- roles, tasks, updates -----------------------------------------------------------------------------------
ROLE_ASKED: Final = "{name} was asked to take the role: {title}"
ROLE_NOBODY: Final = "nobody can be asked to take the role: {title}"
ROLE_TAKEN: Final = "{by} has taken the role: {title}"
TASK_DONE: Final = "{by} has done: {title}"
TASK_OVERDUE: Final = "overdue: {title} ({owner})"
NOT_ASKED: Final = "{name} could not be asked: {why}"
NOT_TOLD: Final = "{name} could not be told how it goes: {why}"
CLIENT_TOLD: Final = "the client was told"
UPDATE: Final = "How it goes: {what}"
UPDATE_OF: Final = "{campaign}, how it goes: {what}"
ERRAND_ROLE: Final = "You are asked to take a role in {campaign}: {title}. It lasts until {until}."
ERRAND_TASK: Final = "To do for {campaign}: {title}"
ERRAND_LATE: Final = "Overdue for {campaign}: {title}"

# --- answers to those who say something ----------------------------------------------------------------------
SAID_ROLE: Final = "The role is yours: {title}. /tasks shows what is to do."
SAID_DONE: Final = "Ticked off: {title}"
SAID_TEST: Final = "A load test begins; its run appears in the chat."
SAID_NO_TEST: Final = "No load test beside real customers: the window is about to open, is open, or was."
SAID_NOTED: Final = "Noted: {text}"
