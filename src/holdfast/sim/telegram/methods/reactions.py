"""setMessageReaction."""

from typing import cast

from holdfast.sim.telegram.errors import bad_request
from holdfast.sim.telegram.methods.call import Call
from holdfast.sim.telegram.shapes import Json

# The Bot API's list of emoji that can be reactions.
_LISTED = """
❤ 👍 👎 🔥 🥰 👏 😁 🤔 🤯 😱 🤬 😢 🎉 🤩 🤮 💩 🙏 👌 🕊 🤡 🥱 🥴 😍 🐳
❤‍🔥 🌚 🌭 💯 🤣 ⚡ 🍌 🏆 💔 🤨 😐 🍓 🍾 💋 🖕 😈 😴 😭 🤓 👻 👨‍💻 👀 🎃 🙈
😇 😨 🤝 ✍ 🤗 🫡 🎅 🎄 ☃ 💅 🤪 🗿 🆒 💘 🙉 🦄 😘 💊 🙊 😎 👾 🤷‍♂ 🤷 🤷‍♀
😡
"""
_EMOJI = frozenset(_LISTED.split())


async def set_message_reaction(call: Call) -> bool:
    """Put one emoji, or none, below a message; bots can have one at a message."""
    reactions = call.params.json_list("reaction") or []
    if not all(isinstance(reaction, dict) for reaction in reactions):
        raise bad_request("can't parse reaction type: Expected an Object")
    room, telegram = call.room(), call.telegram
    telegram.directory.check_reachable(call.bot, room)
    message = telegram.messages.find(room, call.params.integer("message_id"))
    if message is None:
        raise bad_request("message to react not found")
    if len(reactions) > 1:
        raise bad_request("REACTIONS_TOO_MANY")
    emoji = _emoji(cast("Json", reactions[0])) if reactions else ""
    with telegram.database.transaction():
        has_changed = telegram.messages.react(message, call.bot.id, emoji)
    if not has_changed:
        raise bad_request("REACTION_EMPTY")
    telegram.hub.publish("edited", room, message_id=message.message_id)
    return True


def _emoji(reaction: Json) -> str:
    # The variation selector makes no difference to Telegram, but clients send it.
    emoji = str(reaction.get("emoji", "")).replace("\ufe0f", "")
    if reaction.get("type") != "emoji" or emoji not in _EMOJI:
        raise bad_request("REACTION_INVALID")
    return emoji
