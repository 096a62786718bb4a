"""What the bot says about pausing; the same rules as in `texts`."""

WHICH_TO_PAUSE = "⏸ Which run shall wait?"
WHICH_TO_RESUME = "▶️ Which run shall go on?"
NONE_TO_PAUSE = "Nothing is under way that you could pause. /runs shows the newest runs."
NONE_TO_RESUME = "Nothing is paused that you could let go on. /runs shows the newest runs."
PAUSE_QUESTION = (
    "⏸ <b>Pause “{title}”?</b>\n<code>{run}</code> · {state}\n\n"
    "Nothing goes forward; what is in place stays and is watched; rollbacks still happen. "
    "/resume lets it go on."
)
RESUME_QUESTION = (
    "▶️ <b>Let “{title}” go on?</b>\n<code>{run}</code> · {state}\n\n"
    "It goes on where it was: the next share or stage may follow at once."
)
REASON = "Reason: {reason}"
REASON_LENGTH = "reason: at most {most} characters; yours has {length}"
UNSEEN_TITLE = "a run that does not answer"
UNSEEN_STATE = "is a worker up? Confirmed, it is stored until one is"
PAUSE_BUTTON = "⏸ Pause"
RESUME_BUTTON = "▶️ Go on"
PAUSED = "⏸ <b>{person} pauses it.</b> {text}\n/resume {run} lets it go on."
RESUMED = "▶️ <b>{person} lets it go on.</b> {text}"

# --- refusals: plain ----------------------------------------------------------------------------------------
ENDED = "Run {run} has ended ({state}); there is nothing to hold or to let go on."
NOT_YOU = "Sorry, {person}: run {run} may be paused and resumed by {names}. Ask one of them."
NOBODY = "nobody"
PAUSED_ALREADY = "Run {run} is paused already, by {name}. /resume {run} lets it go on."
NOT_PAUSED = "Run {run} is not paused. /run {run} shows where it stands."
