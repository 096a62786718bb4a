"""What the bot says about gates; the same rules as in `texts`."""

from holdfast.domain.signoff import Lapse

QUICK_REASONS = ("Risk too high", "Not now", "Needs changes", "Roll it back now")

# --- taps: plain, at most 190 characters --------------------------------------------------------------------
OTHERS_BUTTON_TAP = "This button is {title}'s. Send /gate {gate} for your own."
OUTDATED_BUTTON_TAP = (
    "This button is outdated: its gate is not there any more. /gates lists what waits for you."
)
UNREADABLE_RUN_TAP = (
    "I cannot read the run now: is a worker up? Nothing was recorded. "
    "Tap the button on the run's own message in the group, or try again."
)
CODE_ASKED_TAP = "Gate '{gate}' needs your authenticator code: I have written to you privately."
CODE_ASKED_FOR_ALL_TAP = "This needs your authenticator code: I have written to you privately."
REASON_ASKED_TAP = "Why? I have written to you privately: one tap on a reason there is enough."
REASON_ASKED_HERE_TAP = "Why? One tap on a reason below is enough."
ENROL_FIRST = (
    "This needs a code of your authenticator app, and you have none yet: "
    "send me /enrol in our private chat, then answer again."
)
WRITE_ME_FIRST = "I may not write to you yet: open a private chat with me, press START, then answer again."
OTHERS_QUESTION_TAP = "This question is not open for you any more. Look at the gate's message, or send /gates."
STORED_UNSEEN = (
    "Stored. No worker is up to check it; it counts as soon as one is. Should the gate want your authenticator "
    "code, you are asked again."
)
EVIDENCE_SHOWN_TAP = "Here it is."
PASTE_SENT_TAP = "I have sent you the JSON to paste privately."

# --- asking -------------------------------------------------------------------------------------------------
ASK_CODE = (
    "🔐 Send me the 6 digits of your authenticator app for:\n<b>{what}</b>\n\n"
    "I forget this question at {until}; nothing happens then."
)
ASK_REASON = (
    "✍️ Why <b>{what}</b>?\nOne tap is enough, or write the reason as your next message.\n\n"
    "Nothing is recorded before you do; I forget this question at {until}."
)
ASK_REASON_HERE = (
    '✍️ <a href="tg://user?id={id}">{title}</a>, why <b>{what}</b>?\n'
    "One tap is enough, or write the reason as a reply to this message.\n\n"
    "Nothing is recorded before you do; I forget this question at {until}."
)
REASON_LENGTH = "reason: at most 1000 characters; yours has {length}"
NO_CODE_ASKED = (
    "I have not asked you for a code, or forgot it in the meantime. Tap the button of the gate again (/gates)."
)
NO_CODES_HERE = (
    "Codes of your authenticator app belong into our private chat only; nobody else should see them."
)
DONE = "<b>{what}</b>\n{text}"

WHAT_DECISION = "{label} ({choice}) at gate {gate}: {title}"
WHAT_DECISION_AS_SAID = "{label} at gate {gate}: {title}"  # the label is the plain word already
WHAT_DECISION_UNSEEN = "{choice} in run {run}"
WHAT_EXTENSION = "keep gate {gate} open until {until}"
WHAT_HANDOVER = "hand gate {gate} over to {to}"
WHAT_STANDING = "hand all your gates over to {to}, {since} until {until}"
WHAT_CODE = "a code to {choice} gate {gate}"
WHAT_LIMIT_CODE = "a code to go on with limits at gate {gate}"

# --- the list and one gate ----------------------------------------------------------------------------------
NOTHING_WAITS = "Nothing waits for you."
WAITS = (
    "❓ <b>{title}</b>\n<code>{gate}</code> · run <code>{run}</code>, {run_title}\n"
    "🕓 asked {age} ago\n⏳ {deadline}\n👥 {missing}"
)
MISSING = "{missing} of {needed} approvals missing; could answer now: {names}"
NOBODY = "nobody"
NO_DEADLINE = "No deadline: it waits for as long as it takes."
DEADLINE = "Until {until} (in {left}); then {lapse}."
OVERDUE = "Overdue since {until}; {lapse}."
LAPSES = {
    Lapse.HOLD: "it keeps waiting, and people are asked again",
    Lapse.REJECT: "it counts as rejected",
    Lapse.ROLLBACK: "everything this run has changed is rolled back",
    Lapse.PROCEED: "it goes on without an answer",
}
OPEN_BUTTON = "Open {gate}"
CODE_BUTTON = "Code for UI / CLI"
GATE_HEAD = "❓ <b>{question}</b>\n<code>{gate}</code> · {run_title}, run <code>{run}</code>"
GATE_ANSWER = "{mark} <b>{label}</b> → {follows}"
GATE_UNANSWERED = "💤 <b>Nobody answers</b> → {follows}"
GATE_TIME = "🕓 asked {age} ago\n⏳ {deadline}"
GATE_AGAIN = "🔁 Asked again because: {why}"
GATE_STALE = "🧾 The evidence is good until {until}; then it is taken anew and you are asked again."
GATE_MFA = "🔐 Needs a code of your authenticator app."
POLICY = "👥 <b>Sign-off</b>: {missing}"
POLICY_STEP = "{mark} step {number}: {labels}"
POLICY_VETO = "✋ may reject at any time: {names}"
SAID = "🗳️ <b>Said so far</b>"
PLAN = "🗺️ <b>Plan</b>"
PLAN_LINE = "{mark} {title}{share}"
DIFF = "🔧 <b>Now → then</b>\n<pre>{table}</pre>"
VERDICT = "📊 <b>{outcome}</b>, risk {risk}, at {share} % ({at})\n{reason}"
EXPLAIN = "🔎 The query behind each number: <code>holdfast verdict explain {run}</code>"
THRESHOLDS = "Risk: {thresholds}."
METRIC_BEFORE = "{mark} {metric}\n   {value}, usual {baseline}, used {used}"
METRIC_USED = "used {used}"
METRIC_AGAINST = "vs {baseline} ({compared})"
MORE = "… and {count} more"
VERDICT_LINES = "<pre>{lines}</pre>"
SHORTENED = "… shortened; the rest is in the Temporal UI."
NO_OPEN_GATE = "In run <code>{run}</code> nothing is asked now: {headline}"
LAST_OUTCOME = "🗳️ Last: {outcome}"
NO_OPEN_GATE_PLAIN = "no gate is open in run '{run}' now; /gates lists what waits for you"
WHICH_GATE = "gate: which one? Name it, or its run: {known}"
NO_GATE_TO_MEAN = "gate: nothing waits for you; name a gate or a run"
SEVERAL_GATES = "gate: several runs ask '{name}'; name the run: {runs}"

# --- codes --------------------------------------------------------------------------------------------------
PRIVATE_ONLY = "That is secret, so I do it only in our private chat: write {command} to me there."
CODE_CHOICE = "choice: write approve, limit, reject or rollback, not '{word}'"
PASTE = (
    "<b>{what}</b>\n<pre>{paste}</pre>\nGood until {until}, for this answer only. Temporal UI: open the run, "
    "Send an Update, <code>decide</code>, paste it whole. Terminal: "
    "<code>holdfast gate {choice} {run} --as {name} --paste -</code>, paste, Ctrl-D."
)

# --- more time, somebody else ------------------------------------------------------------------------------
EXTEND_USAGE = (
    "/extend GATE UNTIL [reason] moves the deadline of a gate:\n"
    "/extend 2-crm-pool +7d the client's board meets on Monday\n"
    "/extend 2-crm-pool 2026-12-31\n/extend 2-crm-pool 2026-12-31 18:00\n"
    "+7d counts from the present deadline; dates and times are yours ({zone})."
)
DELEGATE_USAGE = (
    "/delegate lets somebody answer for you:\n"
    "/delegate 2-crm-pool vera – this gate, for as long as it is open\n"
    "/delegate 2-crm-pool vera 2026-12-31 – until then\n"
    "/delegate all vera 2026-12-20 2027-01-06 – all your gates from day to day, both included\n"
    "/delegate off – takes back the “all” ones\n"
    "Dates and times are yours ({zone}). You may still answer yourself; whoever is first counts."
)
UNTIL, FROM = "until", "from"
UNTIL_MISSING = "until: is missing. {usage}"
NAME_MISSING = "name: is missing. {usage}"
DATES_MISSING = "from and until: both are needed, e.g. /delegate all {name} 2026-12-20 2027-01-06"
TOO_MUCH = "'{word}' is one too many. {usage}"
NOT_A_TIME = "{field}: '{word}' is no date, write it like 2026-12-31, 2026-12-31 18:00 or +7d"
NOT_YOURSELF = "name: '{name}' is you; name somebody else"
STANDING_OF = "Remembered: {to} stands for you {since} until {until}, at every gate that is opened."
STANDING_LATER_ONE = "The gate that waits for you now stays yours: hand it over with /delegate GATE {to}."
STANDING_LATER_MANY = (
    "The {count} gates that wait for you now stay yours: hand one over with /delegate GATE {to}."
)
STANDING_NOT_REACHED = "Temporal does not answer: gates that wait now stay yours. Later: /delegate GATE {to}."
HANDED_OVER = "✅ {gate} ({run}): {text}"
NOT_HANDED_OVER = "⛔ {gate} ({run}): {text}"
ENDED_ONE = "Taken back: one standing delegation. A gate that was handed over already stays handed over."
ENDED_MANY = "Taken back: {count} standing delegations. A gate that was handed over already stays handed over."
NONE_TO_END = "You have no standing delegation."

# --- authenticator app -------------------------------------------------------------------------------------
ENROLLED_ALREADY = (
    "You have an authenticator app already. For a new one an admin has to remove it first: "
    "holdfast totp remove {name}"
)
ENROL_CAPTION = (
    "Scan this with your authenticator app (“add account”, “scan QR code”), or type the secret:\n"
    "<tg-spoiler>{secret}</tg-spoiler>\n\nIt is for you alone; I delete this picture afterwards."
)
ENROL_NEXT = "Then send me the 6 digits that the app shows, before {until}. Without them nothing is set up."
ENROL_DONE = (
    "✅ Your authenticator app is set up. From now on I ask for its code where a gate needs one. "
    "Delete the picture of the code yourself if it is still above."
)
AUDIT_ENROLLED = "{name} set up an authenticator app"
AUDIT_CODE = "{name} was given an approval code to {choice} gate '{gate}'"
AUDIT_LIMIT_CODE = "{name} was given an approval code to go on with limits at gate '{gate}'"
AUDIT_STANDING = (
    "{name} handed all gates over to {to} from {since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M} UTC"
)
AUDIT_ENDED = "{name} ended {count} standing delegation(s)"
