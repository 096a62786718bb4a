"""What stands in a run's message, in notices and pages; filled by `wording.say`, in the reader's language."""

from holdfast.domain.view import RunState, StageState

STATES = {
    RunState.PREPARING: "preparing",
    RunState.CHECKING: "checking",
    RunState.WAITING: "waiting for a decision",
    RunState.CHANGING: "changing",
    RunState.WATCHING: "watching",
    RunState.ROLLING_BACK: "rolling back",
    RunState.PROMOTED: "promoted",
    RunState.ROLLED_BACK: "rolled back",
    RunState.STOPPED: "stopped",
    RunState.FAILED: "failed",
    RunState.PAUSED: "paused",
    RunState.OPEN: "open",
    RunState.ACKNOWLEDGED: "acknowledged",
    RunState.RESOLVED: "resolved",
    RunState.TESTING: "testing",
    RunState.PASSED: "passed",
    RunState.NOT_PASSED: "not passed",
    RunState.FINISHED: "finished",
}
STAGE_STATES = {
    StageState.AHEAD: "ahead",
    StageState.CURRENT: "current",
    StageState.PROMOTED: "promoted",
    StageState.IN_PLACE: "already in place",
    StageState.ROLLED_BACK: "rolled back",
    StageState.REJECTED: "rejected",
    StageState.FAILED: "failed",
}

# --- a run's message ----------------------------------------------------------------------------------------
MFA = "🔐 Each answer needs a code of your authenticator app; it is asked in private."
NO_BUTTONS = "Too long for buttons here: answer in the Temporal UI or on the command line."
LAST_DECISION = "🗳️ Last decision: "
STAGES_SHOWN = "(stages {first}–{last} of {count})"
UNDONE = "↩️ Undone: "
DRIFTED = "⚠️ Not undone, changed by others: "
LEFT = "⚠️ Not undone: "
UNDONE_BEFORE = "↩️ Undone before: {count} more, see the Temporal UI"
STARTED_BY = " · started by {name} · times in {zone}"
OPEN_UI = "Open in the Temporal UI"
TEMPORAL_UI = "Temporal UI"
PAUSED = "⏸️ Paused by {name}: nothing goes forward until /resume. What is out stays and is watched."

# --- a question ---------------------------------------------------------------------------------------------
NOBODY_ANSWERS = "Nobody answers"
ASKED_AGAIN = "🔁 Asked again because: "
MORE_SETTINGS = "🔧 … and {count} more settings"

# --- buttons ------------------------------------------------------------------------------------------------
CODE_BUTTON = "Code for Temporal UI / terminal"
ROLL_BACK_BUTTON = "⏪ Roll back…"
EVIDENCE_BUTTON = "Evidence"
WEB_BUTTON = "Answer on the web page"
ACKNOWLEDGE_BUTTON = "✋ I take it"
HAND_OVER_BUTTON = "Hand over…"
RESOLVE_BUTTON = "It is over…"

# --- the newest verdict -------------------------------------------------------------------------------------
VERDICT = "📊 {at} at {share} %: {said}, risk {risk}"
MORE_EDGES = "🔗 … and {count} more call edges"
MORE_METRICS = "… and {count} more"
METRIC = "metric"
CANARY = "canary"
CONTROL = "control"
NOW = "now"
USUAL = "usual"
USED = "used"
PART_USED = "{part} used"
VERSUS = "{value} vs {baseline} ({compared})"

# --- a notice to one person ---------------------------------------------------------------------------------
REQUEST = "✋ Your decision is asked"
REMINDER = "🔔 Reminder no. {number}: your decision is still asked"
WARNING = "⏰ The deadline comes near: your decision is still missing"
ESCALATION = "🚨 Escalation: the answer is overdue, and you may give it"
ESCALATION_AGAIN = "🚨 Escalation no. {number}: the answer is overdue, and you may give it"
OVERDUE = "⌛ Overdue: your decision is still asked"
OVERDUE_AGAIN = "⌛ Overdue no. {number}: your decision is still asked"
HANDED_OVER = "👥 {names} handed this over to you."
IN_PLACE_OF = "👥 You may answer in place of {names}."
STANDS_IN = "👥 You stand in for an approver."
ASKED_TOO = "👥 Asked too, not answered yet: {names}"
LAST_REMINDER = "🔕 No further reminder."
NEXT_REMINDER = "🔔 Next reminder: {at}"
NOTICE_VERDICT = "📊 Verdict: {outcome}, risk {risk}"
NOTICE_MFA = "🔐 Your answer needs a code of your authenticator app; after the tap you are asked for it."
REASON_TO_REJECT = "To reject, give a reason: you are asked for it after the tap."
WEB_PAGE = "Web page"

# --- an incident --------------------------------------------------------------------------------------------
NOBODY_HAS_IT = "❗ Nobody has it yet. Take it with the button below, or /ack {run}."
OWNED = "🙋 {name} has it until {until}; then people are called again."
OWNED_FOR_GOOD = "🙋 {name} has it."
CALLED = "📣 Called: {names} (step {step} of {steps}, round {round})"
CALLED_NOBODY = "📣 Nobody was called yet."
NEXT_CALL = "⏭️ Next call at {at}: {names}"
NEXT_CALL_OPEN = "⏭️ Next call at {at}."
NO_NEXT_CALL = "⏭️ Nobody else will be called."
CUSTOMER = "💎 Customer tier {tier}, order value {value}"
CUSTOMER_TIER = "💎 Customer tier {tier}"
ORDER_VALUE = "💎 Order value {value}"
RESOLVED = "✅ Resolved: {resolution}"
OPENED_BY = " · opened by {name} · times in {zone}"

# --- a page -------------------------------------------------------------------------------------------------
PAGE = "🚨 You are called: {title}"
PAGE_AGAIN = "🚨 Call no. {number}: {title}"
PAGE_ASK = "Tap “I take it” and the others are not called. Not you? Hand it over."
PAGE_NOT_TAKEN = "If nobody takes it, the next people are called at {at}."
PAGE_OPENED = "🕓 Opened {at} by {name}"
PAGE_LAST = "📝 Last: {line}"
