"""setMyCommands, getMyCommands, deleteMyCommands."""

from holdfast.sim.telegram.commands import parse_commands
from holdfast.sim.telegram.methods.call import Call
from holdfast.sim.telegram.shapes import Json


async def set_my_commands(call: Call) -> bool:
    """Put a command menu in the place of the one with the same scope and language."""
    return _store(call, parse_commands(call.params.text("commands")))


async def delete_my_commands(call: Call) -> bool:
    """Remove the command menu of a scope and language."""
    return _store(call, [])


async def get_my_commands(call: Call) -> list[Json]:
    """The command menu of exactly this scope and language."""
    return call.telegram.commands.exactly(call.bot.id, _checked_scope(call), call.params.text("language_code"))


def _store(call: Call, commands: list[Json]) -> bool:
    call.telegram.commands.store(call.bot.id, _checked_scope(call), call.params.text("language_code"), commands)
    return True


def _checked_scope(call: Call) -> str:
    scope = call.params.json_object("scope") or {}
    if "chat_id" in scope:
        call.telegram.directory.room(call.bot, str(scope["chat_id"]))
    return call.params.text("scope")
