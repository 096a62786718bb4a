"""What the bot says about handing over; the same rules as in `texts`."""

USAGE = (
    "/handover RUN NAME [note] hands an incident over. /handover NAME [until] [note] hands over your present "
    "turn of duty, with the incidents that you have. /help handover shows examples."
)

# --- an incident --------------------------------------------------------------------------------------------
QUESTION = (
    "🤝 <b>Hand “{title}” over to {to}?</b>\n<code>{run}</code>\n\n"
    "{to} is called at once. You no longer have it; until {to} takes it, nobody does."
)
WHOM = (
    "🤝 <b>To whom shall “{title}” go?</b>\n<code>{run}</code>\n\n"
    "One tap hands it over: that person is called at once, and until they take it nobody has it."
)
NOTE = "Note: {note}"
BUTTON = "🤝 Hand over"
ON_DUTY_BUTTON = "📟 {name}"
UNSEEN_TITLE = "an incident that does not answer"
HANDED_OVER = "🤝 <b>{person} hands it over to {to}.</b> {text}\n/run {run} shows where it stands."

# --- a turn of duty -----------------------------------------------------------------------------------------
TURN_QUESTION = "🤝 <b>Hand your turn of duty over to {to}?</b>"
TURN_LINE = "📟 {title}: {to} is on duty until {until}"
ALONG = "Goes along: {title} (<code>{run}</code>)"
NOTHING_ALONG = "You have no open incident that would go along."
ALONG_UNSEEN = "⚠️ I cannot read the incidents now; those that you have stay yours until you hand them over."
TOLD_AT_ONCE = "{to} is told at once."
TURN_DONE = "🤝 <b>{person} hands the turn over to {to}.</b>"
TURN_TAP = "Handed over to {to}."
ALONG_DONE = "{run}: {text}"
ALONG_NOT = "⚠️ {run} was not handed over: {text}"
ALONG_NOT_REACHED = "⚠️ Temporal does not answer: hand {run} over with /handover {run} {name}"
TOLD = "📟 <b>You are on duty now: {titles}</b>\n{person} has handed the turn over to you until {until}."
TOLD_NOTE = (
    "📟 <b>You are on duty now: {titles}</b>\n{person} has handed the turn over to you until {until}: {note}"
)

# --- refusals: plain ----------------------------------------------------------------------------------------
NOT_YOURSELF = "name: '{name}' is you; name somebody else"
NOTE_LENGTH = "note: at most {most} characters; yours has {length}"
NEITHER = "'{word}' is neither a person nor a run. People: {names}. {reason}"
NOBODY_ELSE = "I know nobody else for {run}. Name somebody: /handover {run} NAME"
NOT_ON_DUTY = "You are not on duty now, so there is no turn to hand over. /oncall shows who is."
UNTIL_PAST = "until: {until} is over already"
AUDIT = "{name} hands the turn in rota {rota} over to {to} until {until}"
