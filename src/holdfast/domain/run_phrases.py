"""What paused runs and incidents say of themselves, as whole sentences with placeholders.

A run keeps them in English; whoever shows them recognises them by these patterns.
"""

from typing import Final

# --- headlines and lines of the timeline of a run that is paused ---------------------------------------------
PAUSED: Final = "paused by {by}"
PAUSED_BECAUSE: Final = "paused by {by}: {why}"
RESUMED: Final = "resumed by {by}"
PAUSE_LIFTED: Final = "the pause is over: what goes back is not held up"

# --- headlines and lines of the timeline of an incident ------------------------------------------------------
OPENED: Final = "opened by {by}"
OPENING: Final = "reading whom to call"
UNUSABLE: Final = "the runbook cannot be used: {why}"
NO_TOPIC: Final = "no topic could be opened: {why}"
CALLED: Final = "called {names}; step {step} of {steps}, round {round}"
CALLED_TO_TAKE_OVER: Final = "called {names}, to whom {by} hands it over"
NO_ADDRESS: Final = "neither telegram_id nor email is set in people.yaml"
NOT_TAKEN: Final = "{channel} has not taken it within {n} s"
NO_ANSWER: Final = "the store has not answered within {n} s"
NO_ROTAS: Final = "the rotas cannot be read: {why}"
NO_COVERS: Final = "who covers for whom is not known: {why}"
NOT_REACHED: Final = "{name} was not reached: {why}"
NO_ROTA: Final = "the rota '{rota}' is not known, so nobody is called by it"
NOBODY_REACHED: Final = "step {step} of {steps}, round {round}: nobody was reached"
NOBODY_ANSWERS: Final = "nobody has answered; who comes last is called again every 30 minutes"
OWNED: Final = "{owner} has it"
RAN_OUT: Final = "the acknowledgement of {owner} has run out; people are called again"
HANDED_OVER: Final = "{by} hands it over to {to}"
HANDED_OVER_BECAUSE: Final = "{by} hands it over to {to}: {why}"
NOTED: Final = "noted by {by}: {why}"
KEPT: Final = "{owner} has it for longer"
TAKEN_OVER: Final = "{to} has taken it over from {by}"
RESOLVED: Final = "{by}: {why}"
CANCELLED: Final = "cancelled by request; nobody is called any more"
RECOVERED: Final = "{owner}: {what} Resolve it when you are sure."

# --- why somebody is called ----------------------------------------------------------------------------------
ON_DUTY: Final = "You are on duty ({rota})."
LISTED: Final = "You are called as {entry}."
IS_YOURS_NEXT: Final = "{by} hands it over to you."
IS_YOURS_BECAUSE: Final = "{by} hands it over to you: {why}"

# --- what becomes of the calls that people got ---------------------------------------------------------------
CALLED_AGAIN: Final = "There is a newer call below."

# --- answers to those who say something ----------------------------------------------------------------------
SAID_PAUSED: Final = "The run is paused: no step forward until somebody resumes it. What is out is watched."
SAID_RESUMED: Final = "The run goes on."
SAID_YOURS: Final = "It is yours until {until}; then people are called again."
SAID_HANDED: Final = "{to} is called; without an answer people are called again from the first step."
SAID_NOTED: Final = "Noted: {text}"
SAID_RESOLVED: Final = "Resolved: {why}"

# --- why what somebody says does not count -------------------------------------------------------------------
MAY_NOT: Final = "'{by}' may not say '{act}' to this run; {names} may."
NOT_READ_YET: Final = "The run is still reading who may say '{act}' to it. Say it again in a moment."
USED_CODE: Final = "This approval code was used already, and is good for once. Ask the bot for another one."
OVER: Final = "The run has ended ({state}): '{act}' changes nothing any more."
OTHER_ACT: Final = "act: this takes '{wanted}', but the message says '{act}'."
OTHER_KIND: Final = "'{act}' means nothing to a run of kind {kind}."
PAUSED_ALREADY: Final = "The run is paused already, by {by}."
NOT_PAUSED: Final = "The run is not paused."
GOES_BACK: Final = "The run is rolling back, which nobody pauses."
HAS_IT: Final = "{owner} has it. To take it over: /handover {run} {by}"
HAS_IT_ALREADY: Final = "to: {to} has it already."
TO_WHOM: Final = "to: name the person who is to take it over."
NOBODY: Final = "to: '{to}' is nobody in people.yaml."
OUT_OF_REACH: Final = "to: {to} cannot be called: neither telegram_id nor email is set in people.yaml."
WHY_NEEDED: Final = "reason: say what was wrong and what ended it."
NOTE_NEEDED: Final = "reason: write what is to be noted."

# --- why what somebody says to a campaign does not count -----------------------------------------------------
NO_ROLE: Final = "to: '{to}' is none of the roles; they are: {known}."
ROLE_IS_YOURS: Final = "The role '{role}' is yours already."
NO_TASK: Final = "to: '{to}' is none of the tasks; those that are open: {known}."
TASK_IS_DONE: Final = "The task '{task}' is done already, {by} ticked it off."
TEST_RUNS: Final = "A load test runs already: {run}."

# --- a freeze, and work that goes first ----------------------------------------------------------------------
FROZEN: Final = "{system} is frozen by {run} ({title})"
FROZEN_UNTIL: Final = "{system} is frozen until {until} UTC by {run} ({title})"
AFTER_THE_FREEZE: Final = "Roll it out after that; what cannot wait needs 'fix: true', reviewed in its file."
UNDER_THE_FREEZE: Final = "goes on under the freeze of {system} by {run} ({title}): it is a fix"
GOES_FIRST: Final = "{system} is left to {run}, which goes first until it has ended ({title})"
FIRST_TITLE: Final = "may the fix go first? {title}"
FIRST_QUESTION: Final = "Let {title} go before {entry}? It unblocks: {words}."
FIRST_APPROVED: Final = (
    "{run} ends the stage that is under way, lets go of its systems, and goes on by itself after the fix."
)
FIRST_REJECTED: Final = "The fix waits its turn; {run} goes on."
FIRST_NOTHING: Final = (
    "The fix waits its turn, and you are reminded every {n} minutes until the system is free."
)
FIRST_YES: Final = "Let it go first"
FIRST_NO: Final = "Let it wait"
FIRST_OVERTAKEN: Final = "{system} is free"
FIRST_WAITS: Final = "{title} waits until {run} gives way"
FIRST_AGREED: Final = "{run} gives way: {by} agreed"
FIRST_REFUSED: Final = "{run} does not give way, the fix waits its turn"
NO_TEAM: Final = "nobody is asked whether the fix may go first: the runbook of {run} names no team"
NO_SUCH_TEAM: Final = (
    "nobody is asked whether the fix may go first: people.yaml has no team '{name}', whose work {run} is"
)
NO_OWNER: Final = (
    "nobody is asked whether the fix may go first: nobody owns the team '{name}', whose work {run} is"
)
GIVES_WAY: Final = (
    "gives way to {run} ({title}), as {by} has agreed: no further stage begins before it has ended; it "
    "unblocks: {words}"
)
WAY_REFUSED: Final = "a signal of {run} to give way did not count: {why}"
WAY_UNREADABLE: Final = "a signal to give way could not be read"
WAY_NOT_OURS: Final = "it is not about this run"
WAY_NOT_APPROVED: Final = "it carries no approval"
WAY_OVER: Final = "this run has ended, or has not begun"

# --- load tests: headlines and lines of the timeline ---------------------------------------------------------
LOAD_READING: Final = "reading what is to be tested"
LOAD_UNUSABLE: Final = "the load test cannot be made: {why}"
LOAD_SKIPPED: Final = "no test is made: {why}"
LOAD_BUSY: Final = "{run} tests the same already"
LOAD_ASKING: Final = "asking which load workers there are"
LOAD_NOBODY: Final = "no load worker answers"
LOAD_REFUSED: Final = "{name} must not make this test: {why}"
LOAD_SILENT: Final = "{name} does not answer and makes no load"
LOAD_CLOCK: Final = "the clock of {name} differs by {n} s, so it makes no load; set it right"
LOAD_BEGINS: Final = "{n} generators begin at {at}"
LOAD_RUNS: Final = "{title}: {n} of {m} sessions a second"
LOAD_OVER: Final = "adding up what was reported"
LOAD_TAKEN_OVER: Final = "share {n} has lost its worker and is taken over"
LOAD_GIVEN_UP: Final = "share {n} is made by nobody any more: {why}"
LOAD_UNSEEN: Final = "how the test goes is not known: {why}"
LOAD_ABORTED: Final = "aborted: {why}"
LOAD_STOPPED_BY: Final = "stopped by {by}"
LOAD_STOPPED_BECAUSE: Final = "stopped by {by}: {why}"
LOAD_CANCELLED: Final = "cancelled by request; no load is made any more"
LOAD_NOT_TOLD: Final = "the campaign was not told: {why}"
LOAD_NOT_KEPT: Final = "the decision is not beside the result: {why}"
LOAD_NEWER_PASSED: Final = "a newer load test has passed: {run}"
LOAD_NEWER_FAILED: Final = "a newer load test has failed: {run}"
LOAD_UNDECIDED: Final = "A newer load test has come to a result; nothing was decided on this one."
LOAD_NOT_OVERTAKEN: Final = "what is asked about older load tests could not be taken back: {why}"
LOAD_DECIDED: Final = "{names} decided: {what}"
LOAD_OWNER_CALLED: Final = "The load test of {title} has failed. {why} Decide at the gate in {run}."
SAID_STOPPED: Final = "The load stops within a second; what was measured until then is added up."
SAID_NO_LOAD: Final = "No load is made any more; there is nothing to stop."

# --- load tests: why a scheduled one does not begin ----------------------------------------------------------
LOAD_TOO_EARLY: Final = "tests begin on {at}"
LOAD_TOO_LATE: Final = "no test begins after {at}"
LOAD_IN_BLACKOUT: Final = "it is in the blackout {since}–{until}"
LOAD_IN_BLACKOUT_BECAUSE: Final = "it is in the blackout {since}–{until} ({why})"
LOAD_INTO_BLACKOUT: Final = "it would still run at {at}, which is in the blackout {since}–{until}"
LOAD_INTO_BLACKOUT_BECAUSE: Final = (
    "it would still run at {at}, which is in the blackout {since}–{until} ({why})"
)
LOAD_WORKERS_DIE: Final = "one worker after the other has died"
