"""getUpdates, setWebhook, deleteWebhook, getWebhookInfo."""

import re
from urllib.parse import urlsplit

from holdfast.sim.telegram.errors import bad_request, conflict
from holdfast.sim.telegram.methods.call import Call, Described
from holdfast.sim.telegram.shapes import Json
from holdfast.sim.telegram.updates import MAX_BATCH, MAX_POLL_SECONDS
from holdfast.sim.telegram.webhooks import Webhook

_SECRET = re.compile(r"[A-Za-z0-9_-]*")
_MAX_SECRET = 256
_MAX_CONNECTIONS = 100
_WEBHOOK_ACTIVE = (
    "can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
)


async def get_updates(call: Call) -> list[Json]:
    """Wait for updates; `offset` confirms everything before it."""
    telegram, bot_id = call.telegram, call.bot.id
    if telegram.webhooks.get(bot_id):
        raise conflict(_WEBHOOK_ACTIVE)
    _subscribe(call)
    offset = call.params.integer("offset")
    if offset:
        telegram.updates.confirm(bot_id, offset)
    limit = min(max(call.params.integer("limit", MAX_BATCH), 1), MAX_BATCH)
    timeout_seconds = min(max(call.params.integer("timeout"), 0), MAX_POLL_SECONDS)
    return await telegram.updates.poll(bot_id, limit=limit, timeout_seconds=timeout_seconds)


async def set_webhook(call: Call) -> Described:
    """Have updates posted to a URL; an empty URL ends that."""
    url = call.params.text("url")
    if not url:
        return await delete_webhook(call)
    webhook = Webhook(
        url=_checked_url(url),
        secret_token=_checked_secret(call.params.text("secret_token")),
        max_connections=min(max(call.params.integer("max_connections", 40), 1), _MAX_CONNECTIONS),
    )
    _subscribe(call)
    call.telegram.updates.end_poll(call.bot.id, conflict("terminated by setWebhook request"))
    return _change_webhook(call, webhook, was_so=call.telegram.webhooks.get(call.bot.id) == webhook)


async def delete_webhook(call: Call) -> Described:
    """Keep updates for getUpdates again."""
    return _change_webhook(call, None, was_so=call.telegram.webhooks.get(call.bot.id) is None)


async def get_webhook_info(call: Call) -> Json:
    """Where updates go, how many wait, and what went wrong last."""
    webhook, updates = call.telegram.webhooks.get(call.bot.id), call.telegram.updates
    info: Json = {
        "url": "",
        "has_custom_certificate": False,
        "pending_update_count": updates.count(call.bot.id),
    }
    if webhook:
        info |= {"url": webhook.url, "max_connections": webhook.max_connections}
        if webhook.last_error_message:
            info |= {
                "last_error_date": webhook.last_error_date,
                "last_error_message": webhook.last_error_message,
            }
    kinds = updates.subscribed(call.bot.id)
    return {**info, "allowed_updates": kinds} if kinds else info


def _subscribe(call: Call) -> None:
    kinds = call.params.json_list("allowed_updates")
    if kinds is not None:
        call.telegram.updates.subscribe(call.bot.id, [str(kind) for kind in kinds])


def _change_webhook(call: Call, webhook: Webhook | None, *, was_so: bool) -> Described:
    if call.params.boolean("drop_pending_updates"):
        call.telegram.updates.drop_all(call.bot.id)
    if not was_so:
        call.telegram.webhooks.set(call.bot.id, webhook)
    done = "set" if webhook else "deleted"
    return Described(result=True, description=f"Webhook is already {done}" if was_so else f"Webhook was {done}")


def _checked_url(url: str) -> str:
    # Plain HTTP is what a self-hosted Bot API server allows in its local mode, and this server is local.
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise bad_request("bad webhook: An HTTPS URL must be provided for webhook")
    return url


def _checked_secret(secret: str) -> str:
    if len(secret) > _MAX_SECRET:
        raise bad_request("secret token is too long")
    if not _SECRET.fullmatch(secret):
        raise bad_request("secret token contains unallowed characters")
    return secret
