"""What the bot says about roles and tasks of campaigns, and about load tests; the same rules as in `texts`."""

# --- lists --------------------------------------------------------------------------------------------------
MINE = "📋 <b>Yours</b>"
ALL_OF = "📋 <b>{title}</b>\n<code>{run}</code>"
NOTHING_MINE = (
    "✅ Nothing is asked of you: no open task, no role that waits for you. /tasks RUN shows a whole campaign."
)
NOTHING_OPEN = "✅ Every role is taken and every task is done in <code>{run}</code>."
ROLE_ASKED = "🙋 <b>{title}</b> · role <code>{role}</code>, you are asked\n{campaign} · <code>{run}</code>"
ROLE_OPEN = (
    "🙋 <b>{title}</b> · role <code>{role}</code>, nobody has it; asked: {names}\n"
    "{campaign} · <code>{run}</code>"
)
ROLE_YOURS = "👤 <b>{title}</b> · role <code>{role}</code>, yours\n{campaign} · <code>{run}</code>"
ROLE_TAKEN = "👤 <b>{title}</b> · role <code>{role}</code>: {name}\n{campaign} · <code>{run}</code>"
TASK_OPEN = "☐ <b>{title}</b> · <code>{task}</code>, {name}\nuntil {until} · {campaign} · <code>{run}</code>"
TASK_LATE = "⌛ <b>{title}</b> · <code>{task}</code>, {name}\nwas due {until} · {campaign} · <code>{run}</code>"
NOBODY = "nobody"
ROLE_BUTTON = "🙋 I accept: {title}"
TASK_BUTTON = "✅ Done: {title}"

# --- doing --------------------------------------------------------------------------------------------------
DONE = "{text}\n<code>{run}</code>"
REASON_LENGTH = "note: at most {most} characters; yours has {length}"
OTHERS_BUTTON_TAP = "This button is {title}'s. Send /tasks {run} for your own."
OUTDATED_BUTTON_TAP = "This button is outdated. Send /tasks {run} instead."

# --- load tests ---------------------------------------------------------------------------------------------
WHICH_TO_STOP = "⏹ Which load test shall stop?"
NONE_TO_STOP = "No load test is under way that you could stop. /runs shows the newest runs."
STOP_QUESTION = (
    "⏹ <b>Stop “{title}”?</b>\n<code>{run}</code> · {state}\n\n"
    "Its load ends within a second. What was measured is kept, and the test counts as stopped."
)
STOP_BUTTON = "⏹ Stop it"
STOPPED = "⏹ <b>{person} stops it.</b> {text}\n<code>{run}</code>"
UNSEEN_TITLE = "a load test that does not answer"
UNSEEN_STATE = "is a worker up? Confirmed, it is stored until one is"

# --- refusals: plain ----------------------------------------------------------------------------------------
WHICH_RUN = "run: which campaign? Running are: {known}. /tasks shows what is yours, with buttons"
NO_CAMPAIGN = "run: no campaign is running"
NOT_A_CAMPAIGN = "Run {run} is no campaign. /run {run} shows what it is."
NOT_A_LOAD_TEST = "Run {run} is no load test. /run {run} shows what it is."
ENDED = "Run {run} has ended ({state}); there is nothing left to do or to stop."
NOT_YOU = "Sorry, {person}: load test {run} may be stopped by {names}. Ask one of them."
