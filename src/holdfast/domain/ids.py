"""Identifiers that people read, and keys that make effects idempotent."""

import base64
import hashlib


def run_id(kind: str, seed: str) -> str:
    """Return a short run id, the same for the same seed, e.g. `rollout-4f7qk2mz`.

    Args:
        kind: the runbook kind.
        seed: what makes the start unique (an update id of the chat, a random token), so that a repeated
            start request finds the run that it already started.
    """
    # Short: it stands beside a token in a button, and Telegram gives a button 64 bytes (docs/decisions/0003).
    digest = hashlib.sha256(f"{kind}/{seed}".encode()).digest()
    return f"{kind}-{base64.b32encode(digest)[:8].decode().lower()}"


def effect_key(run: str, stage: str, step: str) -> str:
    """Return the key under which one effect happens at most once, e.g. `rollout-4f7qk2mz/crm-pool/share-5`."""
    return f"{run}/{stage}/{step}"


def digest_of(text: str) -> str:
    """Return the short digest (12 hex digits of SHA-256) by which a file or evidence is named to people."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]
