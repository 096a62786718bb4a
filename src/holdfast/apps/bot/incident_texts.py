"""What the bot says about incidents; the same rules as in `texts`."""

# --- opening one --------------------------------------------------------------------------------------------
ASK_WRONG = "🚨 <b>What is wrong?</b> One line is enough, such as “checkout is down”."
ASK_TIER = "Which customers does it hit? The tier decides whose messages go first."
OPEN_PREVIEW = "🚨 <b>Open this incident: {title}?</b>\n{runbook}"
TIER = "Customer tier: {tier}"
OTHER_TIER = "Tier: {choice}"
VALUE = "Order value: {value}"
CALLED_FIRST = "📟 Called at once: {names}"
CALLED_AFTER = "After {after} without an answer: {names}"
CALLED_UNKNOWN = "⚠️ I cannot tell who is called: {reason}"
CALLED_NOBODY = "no one"
OPEN_BUTTON = "🚨 Open"
TITLE_LENGTH = "what is wrong: at most {most} characters; yours has {length}. /note takes more, later"
NOT_A_VALUE = "value: '{word}' is no amount; write value=120000"
NOT_AN_OPENER = "Sorry, {person}: this may be opened by {names}. Ask one of them."

# --- the open ones ------------------------------------------------------------------------------------------
OPEN_ONES = "🚨 <b>Open incidents</b>"
NONE_OPEN = "✅ No incident is open."
OPEN_LINE = "<b>{title}</b> · {state}, for {since}\n<code>{run}</code>"
UNTAKEN_LINE = "🔴 <b>{title}</b> · nobody has it, for {since}\n<code>{run}</code>"
TAKEN_LINE = "🟡 <b>{title}</b> · {owner} has it, for {since}\n<code>{run}</code>"
HOW_TO_OPEN = "/incident and what is wrong opens one: <code>/incident checkout is down</code>"

# --- taking, noting, resolving ------------------------------------------------------------------------------
WHICH_TO_TAKE = "🙋 <b>Which one do you take?</b>"
DONE = "{text}\n<code>{run}</code>"
RESOLVE_QUESTION = (
    "✅ <b>Resolve “{title}”?</b>\n<code>{run}</code>\nWhy: {reason}\n\n"
    "The incident ends: nobody is called any more."
)
WHY_QUESTION = (
    "✅ <b>Why is “{title}” over?</b>\n<code>{run}</code>\n\n"
    "With your answer the incident ends: nobody is called any more."
)
QUICK_RESOLUTIONS = ("It works again", "Rolled back", "False alarm", "Handled elsewhere")
RESOLVE_BUTTON = "✅ Resolve"
RESOLVED = "✅ <b>Resolved by {person}: {reason}</b>\n{text}\n<code>{run}</code>"
UNSEEN_TITLE = "an incident that does not answer"
NOTE_USAGE = "/note RUN TEXT – the text is missing"
RESOLVE_USAGE = "/resolve RUN WHY"
TEXT_LENGTH = "text: at most {most} characters; yours has {length}. Send the rest as another note"

# --- taps: plain, at most 190 characters --------------------------------------------------------------------
UNKNOWN_BUTTON_TAP = "I do not understand this button. Send /incident for ones that work."
OTHERS_BUTTON_TAP = "This button is {title}'s. Send /ack {run} for your own."
OUTDATED_BUTTON_TAP = "This button is outdated. Send /ack {run} instead."
TOO_OLD_TAP = "This message is too old for that. Send /run {run} for a fresh one."
WHOM_TAP = "To whom? Tap a name below."
WHY_TAP = "Why is it over? One tap on a reason below is enough."

# --- refusals: plain ----------------------------------------------------------------------------------------
WHICH = "which incident? Open are: {known}. {usage}"
NONE = "no incident is open; /incident opens one"
ENDED = "Run {run} has ended ({state}); there is nothing left to answer."
NO_INCIDENT = "Run {run} is no incident. /run {run} shows what it is."
NOBODY = "nobody"
NOT_YOU = "Sorry, {person}: {run} may be answered by {names}. Ask one of them."
