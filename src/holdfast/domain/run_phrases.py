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
