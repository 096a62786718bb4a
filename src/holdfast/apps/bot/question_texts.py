"""What the bot says around every question; the same rules as in `texts`."""

UNTIL = '<a href="tg://user?id={id}">{person}</a>, only you can answer, until {until}. Nothing happens before.'
WRITE_UNTIL = "Write it as your next message, or tap. I wait until {until}; nothing happens before."
REPLY_UNTIL = (
    '<a href="tg://user?id={id}">{person}</a>, write it as a reply to this message, or tap. '
    "I wait until {until}; nothing happens before."
)
CANCEL_BUTTON = "Cancel"
CANCELLED = "Cancelled by {person}; nothing was done."
EXPIRED = "Not answered in time, or a newer question took its place; nothing was done."
NOT_TOLD = "⚠️ I could not write to {names}: please tell them yourself."
TOO_LONG = "text: at most {most} characters; yours has {length}"

# --- taps: plain, at most 190 characters --------------------------------------------------------------------
OTHERS_TAP = "This button is {title}'s. Send the command yourself for your own."
EXPIRED_TAP = (
    "Too late, or a newer question of yours has taken its place. Nothing was done; send the command again."
)
CANCELLED_TAP = "Cancelled. Nothing was done."
ASKED_ON_TAP = "Noted."
