"""Rate-limited priority sending: every message is a durable row before it is tried.

`message` says what is sent, `store` where the rows are, `transport` what becomes of a try. `sender` is the one
loop of a bot token; `outbox` is what everybody else calls. Inside, `lease` and `holders` say who sends, `shift`
is the sending under one lease, `order` chooses, `limits` holds back, `fates` does what follows from a try.
"""
