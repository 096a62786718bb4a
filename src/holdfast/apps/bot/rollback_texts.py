"""What the bot says about rollbacks; the same rules as in `texts`."""

USAGE = (
    "/rollback RUN [reason] undoes what a run did, at any time before its end. "
    "I show first what would be undone, and ask. /runs lists the runs."
)

# --- the question -------------------------------------------------------------------------------------------
QUESTION = (
    '⏪ <a href="tg://user?id={id}">{person}</a>, roll this back?\n<b>{title}</b> · <code>{run}</code>\n\n'
)
UNDONE = "<b>Undone, the newest first</b>"
UNDONE_STAGE = "<b>{title}</b>"
UNDONE_LINE = "↩️ {back}"
SCHEMA = "⚠️ The schema goes back too ({systems}): what was written into columns and tables that go is lost."
LASTING = "<b>Cannot be undone; a person is asked there</b>"
LASTING_LINE = "⚠️ {title}"
STAYS = "“{label}” leaves as it is: {names}"
UNSEEN_TITLE = "A run that does not answer"
UNSEEN = (
    "I cannot read the run now: is a worker up? So I cannot show what would be undone. "
    "Confirmed, it is stored; the run checks it, and does it, as soon as a worker is up."
)
UNTIL = "Only you can confirm, until {until}. Nothing is undone before."
EVERYTHING_BUTTON = "Roll back everything"
ONLY_BUTTON = "Only {title}"
CANCEL_BUTTON = "Cancel"

# --- what became of it --------------------------------------------------------------------------------------
CLOSED = "<b>{person}: {what}.</b>\n{text}"
CANCELLED = "Cancelled by {person}; nothing was undone."
EXPIRED = "Nobody confirmed in time; nothing was undone."

# --- taps: plain, at most 190 characters --------------------------------------------------------------------
ASKED_TAP = "I show you what would be undone; confirm it there within 2 minutes."
ASKED_PRIVATELY_TAP = "I have written to you privately what would be undone; confirm it there within 2 minutes."
CANCELLED_TAP = "Cancelled. Nothing was undone."
OTHERS_TAP = (
    "This question is somebody else's, or a newer one of yours has taken its place. "
    "/rollback RUN asks you your own."
)
EXPIRED_TAP = (
    "Too late: this could be confirmed for 2 minutes. Nothing was undone; ask again with /rollback RUN."
)

# --- refusals: plain ----------------------------------------------------------------------------------------
ENDED = (
    "Run {run} has ended ({state}), so it undoes nothing any more. A run of its own can undo it: "
    "holdfast rollback {run} --as {name}"
)
NOT_YOU = "Sorry, {person}: run {run} may be rolled back by {names}. Ask one of them."
NOBODY = "nobody"
ROLLING_BACK = "Run {run} is rolling back already: {headline}"
NOTHING = "Nothing of run {run} stands that a rollback would undo. It is {state}."
