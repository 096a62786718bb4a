"""E-mail as a way to reach one person."""

from holdfast.adapters.email.channel import EmailChannel

__all__ = ["EmailChannel"]
