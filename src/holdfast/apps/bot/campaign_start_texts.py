"""What the bot says while a campaign or a load test is started; the same rules as in `texts`."""

CAMPAIGN_PREVIEW = "🎯 <b>Start “{title}”?</b>\n<code>{name}</code> · {summary}"
CAMPAIGN_WINDOW = "For {client}, from {opens} to {closes}."
CAMPAIGN_TEST = (
    "Before it a load test has to carry {highest} sessions a second: {peak} expected, times {factor}."
)
CAMPAIGN_SIGN_OFF = "Signed off by {approvers}, asked {before} before it opens."
CAMPAIGN_ROLES = "Asked at once to take a role: {names}."
CAMPAIGN_RULES = "While the window is open it is watched, planned rollouts wait, and a breach calls people."
CAMPAIGN_BUTTON = "🎯 Start the campaign"
NOT_A_STARTER = "{person} may not start it; those who may: {names}"
ONE_TOO_MANY = "'{word}' is one too many: I need the name of a runbook and nothing else"
PROMISE = "🤝 {title}: {promise}"

LOAD_PREVIEW = "🏋️ <b>Start the load test “{title}”?</b>\n<code>{name}</code> · {summary}"
LOAD_PHASES = "Up to {highest} sessions a second, {lasts} in all, against {hosts}."
LOAD_RULES = "It stops by itself where a threshold says so. /loadstop stops it within a second."
LOAD_BUTTON = "🏋️ Start the load"
PHASE = "▫️ {title}: {rate} a second, {lasts}"
