"""What the bot says about what it could not do at once: HTML with marks; plain for taps."""

KEPT = (
    "⏳ Temporal does not answer now. I have kept <code>{command}</code> and carry it out as soon as Temporal "
    "is back, until {until} at the latest. There is no need to send it again."
)
KEPT_SLOW = (
    "⏳ Temporal does not answer in time. I have kept <code>{command}</code> and try again until {until}; "
    "nothing is done twice. There is no need to send it again."
)
KEPT_TAP = (
    "⏳ Temporal does not answer now. Your tap is kept until {until}: as soon as Temporal is back I carry it "
    "out and write what became of it."
)
KEPT_SLOW_TAP = (
    "⏳ Temporal does not answer in time. I try again until {until}, nothing counts twice, and I write what "
    "became of it."
)
WAIT_TAP = "⏳ This takes longer than usual. I write what became of it."
NOT_DONE = (
    "⚠️ Temporal did not come back in time: <code>{command}</code> was NOT carried out. "
    "Send it again if you still want it."
)
NOT_DONE_TAP = (
    "⚠️ Temporal did not come back in time, and I have given your tap up. Look at the message, and tap again if "
    "it still waits: one person's answer counts once."
)
BROKEN_TAP = (
    "⚠️ I could not handle your tap, and the error is in my log. Look at the message before you tap again."
)
OUTCOME_FOR = '<a href="tg://user?id={id}">{name}</a>: {text}'
