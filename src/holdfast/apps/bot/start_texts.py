"""What the bot says while something is started; the same rules as in `texts`."""

NO_RUNBOOKS = (
    "There is no runbook of kind “{kind}” that can be started. "
    "They are YAML files in the runbooks folder; /runbooks shows what there is."
)
ASK_RUNBOOK = "Which runbook shall be started?"
ASK_PACE = "At which pace?"
WRONG_ARGUMENTS = "/rollout takes a runbook's name and pace=NAME; '{word}' is one too many"
OTHER_KIND = "runbook: '{name}' is not of kind {kind}"
GONE = "That is not there any more. Send the command again for a new list."
STALE = (
    "you asked for this {minutes} minutes ago, when I could not answer. "
    "Look at /runs, and send it again if you still want it"
)

# --- what will happen ---------------------------------------------------------------------------------------
ROLLOUT_PREVIEW = "🚀 <b>Start “{title}”?</b>\n<code>{name}</code> · {summary}"
ROLLOUT_RULES = (
    "Each stage is checked, waits for its sign-off, and is watched share by share; what goes wrong is undone."
)
FROZEN = "❄️ {why}"
PACE = "Pace: {pace}."
PACE_OTHERS = "Pace: {pace} (there is also {others})."
OTHER_PACE = "Pace: {choice}"
STAGE = "{number}. {title} – {shares}, sign-off: {approvers}"
SHARES = "{shares} %"
SHARES_NO_RETURN = "{shares} %, with a point of no return"
EVERYBODY = "everybody at once"
EVERYBODY_NO_RETURN = "everybody at once, with a point of no return"
CHANGED = "⚠️ The runbook has been changed since I asked. This is what it says:"
START_BUTTON = "🚀 Start"

# --- what became of it --------------------------------------------------------------------------------------
STARTED = "✅ <b>Started by {person}: <code>{run}</code></b>\nIts own message follows and is kept up to date."
ALREADY_STARTED = "Run <code>{run}</code> is there already: this question has started it before. See /runs."
STARTED_TAP = "Started: {run}"
ALREADY_STARTED_TAP = "This question has already started {run}. Send the command again for another run."

# --- /runbooks ----------------------------------------------------------------------------------------------
SHELF = "📚 <b>Which kind of runbook?</b>"
SHELF_EMPTY = "There is no runbook. They are YAML files in the runbooks folder."
SHELF_KIND = "📚 <b>Runbooks: {kind}</b>\nTap one to see what it does."
SHELF_KIND_EMPTY = "There is no runbook of kind “{kind}”."
KIND_BUTTON = "{kind} ({count})"
RUNBOOK = "📖 <b>{title}</b>\n<code>{name}</code> · {summary}"
RUNBOOK_INVALID = "⚠️ <code>{name}</code> cannot be read: {reason}\nWhoever owns the file has to mend it."
MAY_START = "May be started by: {names}."
MAY_START_BUTTON = "Start…"
BACK_BUTTON = "‹ Back"
NO_LONGER_THERE_TAP = "That runbook is not there any more. Send /runbooks for a new list."
SHOWN_TAP = "Here it is."
