"""What each command is for, in a line and by example; the same rules as in `texts`."""

# --- one line each, for the menu and /help ------------------------------------------------------------------
INCIDENT = "Open an incident, or list the open ones"
ACK = "I have it: take an incident"
NOTE = "Write something into an incident's timeline"
HANDOVER = "Hand over an incident, or your turn of duty"
RESOLVE = "It is over: resolve an incident"
ONCALL = "Who is on duty, and who is next"
RUNBOOKS = "Browse the runbooks"
ROLLOUT = "Start a rollout"
CAMPAIGN = "Start a campaign"
LOAD = "Start a load test"
TASKS = "Your roles and tasks in campaigns"
ACCEPT = "Take a role in a campaign"
DONE = "Tick off a task of a campaign"
LOADSTOP = "Stop a load test"
PAUSE = "Hold a rollout where it is"
RESUME = "Let a paused rollout go on"
ROLLBACK = "Undo what a run did"
RUNS = "The newest runs"
RUN = "One run: state, verdict, picture"
GATES = "What waits for your answer"
GATE = "One question, and what it rests on"
EXTEND = "Give a gate more time"
DELEGATE = "Let somebody else answer for you"
CODE = "An answer to carry to the Temporal UI"
ENROL = "Set up your authenticator app"
WHOAMI = "Who you are to Holdfast"
HELP = "What the commands do"

# --- sections of /help --------------------------------------------------------------------------------------
INCIDENTS = "🚨 Incidents"
ROLLOUTS = "🚀 Rollouts"
CAMPAIGNS = "📣 Campaigns"
ANSWERS = "✍️ Sign-offs"
YOU = "👤 You"
HELP_HEAD = "<b>What you can do here</b>"
HELP_LINE = "/{command} – {line}"
HELP_FOOT = "/help COMMAND explains one, with examples."
NO_SUCH_COMMAND = "command: there is no /{command}; /help lists yours"

# --- one command, taught ------------------------------------------------------------------------------------
TAUGHT = "<b>/{command}</b> – {line}\n\n{usage}"
INCIDENT_USAGE = (
    "/incident – the open ones, with buttons\n"
    "/incident checkout is down – opens one; I show first who is called, and ask\n"
    "/incident shop-down checkout is down tier=gold value=120000 – says the runbook, the customer's tier and "
    "what the order is worth"
)
ACK_USAGE = (
    "/ack – takes the open incident; with several I ask which\n"
    "/ack incident-4f7qk2mz – takes that one\n\n"
    "Nobody else is called while you have it. An acknowledgement runs out; the incident's message says when."
)
NOTE_USAGE = (
    "/note incident-4f7qk2mz the pool is full since 03:05 – everybody reads it in the incident's timeline"
)
HANDOVER_USAGE = (
    "/handover incident-4f7qk2mz boris the pool is full – hands one incident over\n"
    "/handover boris – hands over your present turn of duty, with the incidents that you have\n"
    "/handover boris +4h back after lunch – only for that long; a date or 2026-12-24 18:00 works too\n\n"
    "I show first what it does, and ask."
)
RESOLVE_USAGE = (
    "/resolve incident-4f7qk2mz the pool is wider – ends it; nobody is called any more\n"
    "/resolve incident-4f7qk2mz – I ask why"
)
ONCALL_USAGE = "/oncall – each rota: who is on duty until when, and who is next; times are on your clock"
RUNBOOKS_USAGE = "/runbooks – by kind, with buttons; each shows its steps, and who may start it"
ROLLOUT_USAGE = (
    "/rollout – I ask which\n"
    "/rollout support-surge pace=demo – that one, at that pace\n\n"
    "I show first what will happen, and ask."
)
CAMPAIGN_USAGE = (
    "/campaign – I ask which\n/campaign black-friday – that one\n\nI show first what will happen, and ask."
)
LOAD_USAGE = (
    "/load – I ask which\n/load customer-journeys – that one\n\nI show first what will happen, and ask."
)
TASKS_USAGE = (
    "/tasks – what is asked of you in all running campaigns, with buttons\n"
    "/tasks campaign-4f7qk2mz – all roles and open tasks of that one, and who has them"
)
ACCEPT_USAGE = (
    "/accept campaign-4f7qk2mz commander – you have that role; its tasks are yours from then on\n"
    "/accept – the only role for which you were asked; with several I show them\n\n"
    "While nobody accepts, the next person on the role's list is asked."
)
DONE_USAGE = (
    "/done campaign-4f7qk2mz check-dashboards all green – ticks it off; the rest is a note for the record\n"
    "/done – your only open task; with several I show them"
)
LOADSTOP_USAGE = (
    "/loadstop load-4f7qk2mz customers complain – its load ends within a second\n"
    "/loadstop – with several I ask which\n\n"
    "I ask once, first."
)
PAUSE_USAGE = (
    "/pause rollout-4f7qk2mz the CRM is slow – nothing goes forward; what is in place stays and is watched\n"
    "/pause – with several runs I ask which\n\n"
    "/resume lets it go on."
)
RESUME_USAGE = "/resume rollout-4f7qk2mz – it goes on where it was\n/resume – with several runs I ask which"
ROLLBACK_USAGE = (
    "/rollback rollout-4f7qk2mz the CRM is slow – undoes what the run did, at any time before its end\n\n"
    "I show first what would be undone, and ask."
)
RUNS_USAGE = "/runs – the newest first, with buttons"
RUN_USAGE = "/run rollout-4f7qk2mz – its message and the picture of its numbers\n/run – the newest"
GATES_USAGE = "/gates – what waits for you, the longest waiting first"
GATE_USAGE = "/gate – the only one that waits for you\n/gate rollout-4f7qk2mz – the one of that run"
EXTEND_USAGE = "/extend 2-crm-pool +7d the client is on holiday – the gate stays open a week longer"
DELEGATE_USAGE = (
    "/delegate 2-crm-pool boris – boris answers this gate for you\n"
    "/delegate all boris 2026-12-24 2027-01-03 – all of yours, from day to day\n"
    "/delegate off – ends that"
)
CODE_USAGE = (
    "/code 2-crm-pool approve – an answer to paste into the Temporal UI or a terminal\n"
    "/code rollout-4f7qk2mz rollback – the same for a rollback\n\n"
    "Only in our private chat."
)
ENROL_USAGE = (
    "/enrol – shows a QR code for your authenticator app, and asks for its first code\n\n"
    "Only in our private chat."
)
WHOAMI_USAGE = "/whoami – your name, roles and Telegram id; strangers may ask too"
HELP_USAGE = "/help – what you may do\n/help rollback – one command, with examples"

# --- refusals -----------------------------------------------------------------------------------------------
MAY_NOT = "Sorry, {person}: /{command} is for {holders}. Ask one of them."
NOBODY = "nobody, see commands.yaml"
AUDIT_REFUSED = "{name} may not run /{command}"
