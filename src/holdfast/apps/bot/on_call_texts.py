"""What the bot says about duty; the same rules as in `texts`."""

HEAD = "📟 <b>On duty</b>"
ROTA = "<b>{title}</b>"
NOW = "Now: <b>{person}</b>, until {until}"
NEXT = "Next: {person}, until {until}"
COVER = "(for {person})"
FOOT = "/handover NAME hands your turn over."
NO_ROTAS = "There is no rota. escalation/duty.yaml says who is on duty when."
