"""What people do in the chat of a stack: find a button, tap it, confirm a start."""

from tests.fakes import eventually
from workers.demo.stack import CHAT_ID
from workers.demo.world import World


async def button(world: World, begins: str, ends: str = "", *, chat: int = CHAT_ID) -> tuple[int, str]:
    """Wait for a button whose data is like that; return its message and its data, the newest one's."""

    async def found() -> tuple[int, str] | None:
        for message in reversed(await world.messages(chat)):
            for row in message.get("reply_markup", {}).get("inline_keyboard", []):
                for one in row:
                    data = str(one.get("callback_data", ""))
                    if data.startswith(begins) and data.endswith(ends):
                        return int(message["message_id"]), data
        return None

    result: tuple[int, str] = await eventually(found, seconds=60, every=0.2)
    return result


async def start(world: World, user: int, name: str, command: str) -> None:
    """Type a command that asks before it starts something, and confirm it."""
    await world.say(user, command)
    message, data = await button(world, "y:", f":{name}:yes")
    await world.press(user, message, data)
