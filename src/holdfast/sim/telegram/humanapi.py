"""The JSON side for people and tools: what the page itself uses.

Answers are JSON; an error has a fitting status and `{"error": why}`. A user is an id or @username. A chat is a
group's id or @username, or for a private conversation the bot's id or @username (with one bot, the user's own
id will do).

- `GET /human/state?user=` the people; with a user, also the user's chats, topics, command menus, last messages.
- `GET /human/messages?chat=&user=&thread=&limit=` the newest messages, oldest first, as the Bot API shows them,
  with `edited`, `silent` and `reactions` added. `user` may be left out for groups. Topic 1 is General.
- `POST /human/send {user, chat, text, thread?, reply_to?}` write; answers with the message.
- `POST /human/press {user, chat, message_id, button, wait_seconds?}` press an inline button, named by its
  callback data or text; answers `{"answered": true, "text", "show_alert", "url"}`, or `{"answered": false,
  "reason"}` after `wait_seconds` (15 unless told, 60 at most). 409 when the message or button is gone.
- `POST /human/block {user, bot?, blocked}` block or unblock a bot.
- `POST /human/upgrade {chat}` make a group a supergroup, with another id; answers `{"chat", "migrated_to"}`.
- `POST /human/raw_update?bot=` queue any JSON object as an update, as it is but for its `update_id`, whatever
  the bot subscribed to; newer servers send what older clients cannot parse.
- `GET` and `POST /human/faults {drop_after_store?, bad_gateway?, method?}` the network weather to come.
- `GET /human/log` calls by method and status since the start, 429s by chat, messages with equal content sent
  twice, also counted by chat.
- `GET /human/events?user=` server-sent events: `message`, `edited`, `deleted`, `action`, `contact`.
- `GET /human/file/<file_id>` a photo or document.
"""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import cast

from aiohttp import web

from holdfast.sim.telegram.errors import HumanError
from holdfast.sim.telegram.humans import Humans
from holdfast.sim.telegram.shapes import Json, Room
from holdfast.sim.telegram.telegram import Telegram
from holdfast.sim.telegram.views import MessageView, Views

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_DEFAULT_WAIT_SECONDS = 15
_MAX_WAIT_SECONDS = 60
_MAX_MESSAGES = 1000
_KEEP_ALIVE_SECONDS = 15


class HumanApi:
    """Answers people and tools."""

    def __init__(self, telegram: Telegram) -> None:
        self._telegram = telegram
        self._humans = Humans(telegram)
        self._views = Views(telegram)

    def routes(self) -> list[web.AbstractRouteDef]:
        """Everything under `/human`."""
        return [
            web.get("/human/state", _answering(self._state)),
            web.get("/human/messages", _answering(self._messages)),
            web.post("/human/send", _answering(self._send)),
            web.post("/human/press", _answering(self._press)),
            web.post("/human/block", _answering(self._block)),
            web.post("/human/upgrade", _answering(self._upgrade)),
            web.post("/human/raw_update", _answering(self._raw_update)),
            web.get("/human/faults", _answering(self._faults)),
            web.post("/human/faults", _answering(self._faults)),
            web.get("/human/log", _answering(self._log)),
            web.get("/human/events", _answering(self._events)),
            web.get("/human/file/{file_id}", _answering(self._file)),
            web.get("/human", self._explain),
        ]

    async def _state(self, request: web.Request) -> Json:
        directory = self._telegram.directory
        state: Json = {
            "users": [directory.user_json(user_id) for user_id in directory.people],
            "bots": [bot.user for bot in directory.bots],
        }
        if "user" in request.query:
            person = self._humans.person(request.query["user"])
            state["user"] = directory.user_json(person.id)
            state["chats"] = [chat.as_json() for chat in self._views.chats(person)]
        return state

    async def _messages(self, request: web.Request) -> Json:
        query = request.query
        thread_id = _number("thread", query["thread"]) if "thread" in query else None
        limit = min(_number("limit", query.get("limit", "100")), _MAX_MESSAGES)
        group = self._telegram.directory.find_group(query.get("chat", ""))
        if group and "user" not in query:
            found = self._views.messages(None, Room(0, group.id), thread_id=thread_id, limit=limit)
        else:
            person = self._humans.person(query.get("user", query.get("chat", "")))
            room = self._humans.room(person, query.get("chat", ""))
            found = self._views.messages(person, room, thread_id=thread_id, limit=limit)
        return {"messages": [_as_json(message) for message in found]}

    async def _send(self, request: web.Request) -> Json:
        body = await _body(request)
        person = self._humans.person(_text(body, "user"))
        return self._humans.send(
            person,
            self._humans.room(person, _text(body, "chat")),
            _text(body, "text"),
            thread_id=_number("thread", body.get("thread", 0)),
            reply_to=_number("reply_to", body.get("reply_to", 0)),
        )

    async def _press(self, request: web.Request) -> Json:
        body = await _body(request)
        person = self._humans.person(_text(body, "user"))
        wait_seconds = _number("wait_seconds", body.get("wait_seconds", _DEFAULT_WAIT_SECONDS))
        return await self._humans.press(
            person,
            self._humans.room(person, _text(body, "chat")),
            _number("message_id", body.get("message_id")),
            _text(body, "button"),
            wait_seconds=min(wait_seconds, _MAX_WAIT_SECONDS),
        )

    async def _block(self, request: web.Request) -> Json:
        body = await _body(request)
        blocked = body.get("blocked", True) is True
        person, bot = self._humans.person(_text(body, "user")), self._humans.bot(str(body.get("bot", "")))
        self._humans.block(person, bot, blocked=blocked)
        return {"user": person.id, "bot": bot.id, "blocked": blocked}

    async def _upgrade(self, request: web.Request) -> Json:
        return self._humans.upgrade(_text(await _body(request), "chat"))

    async def _raw_update(self, request: web.Request) -> Json:
        bot, body = self._humans.bot(request.query.get("bot", "")), await _body(request)
        with self._telegram.database.transaction():
            update_id = self._telegram.updates.queue_raw(bot.id, body)
        return {"update_id": update_id}

    async def _faults(self, request: web.Request) -> Json:
        return self._telegram.weather.change(await _body(request) if request.method == "POST" else {})

    async def _log(self, _request: web.Request) -> Json:
        return self._views.log()

    async def _explain(self, _request: web.Request) -> web.Response:
        return web.Response(text=__doc__)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        viewer = self._humans.person(request.query["user"]).id if "user" in request.query else None
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}
        )
        await response.prepare(request)
        with contextlib.suppress(ConnectionResetError):
            await self._stream_events(response, viewer)
        return response

    async def _stream_events(self, response: web.StreamResponse, viewer: int | None) -> None:
        await response.write(b"retry: 1000\n\n")
        with self._telegram.hub.subscription() as events:
            while True:
                try:
                    event = await asyncio.wait_for(events.get(), _KEEP_ALIVE_SECONDS)
                except TimeoutError:
                    event = {}
                if event is None:
                    return
                if viewer in {None, event.get("user", viewer)}:
                    await response.write(_server_sent(event))

    async def _file(self, request: web.Request) -> web.StreamResponse:
        file = self._telegram.files.find(request.match_info["file_id"])
        if file is None:
            raise HumanError(404, "file: unknown")
        is_image = file.mime_type in {"image/png", "image/jpeg"}
        headers = {
            "Content-Type": file.mime_type if is_image else "application/octet-stream",
            "Content-Disposition": "inline" if is_image else "attachment",
            "X-Content-Type-Options": "nosniff",
        }
        return web.Response(body=file.content, headers=headers)


def _answering(act: Callable[[web.Request], Awaitable[Json | web.StreamResponse]]) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            answer = await act(request)
        except HumanError as error:
            return web.json_response({"error": str(error)}, status=error.status)
        return answer if isinstance(answer, web.StreamResponse) else web.json_response(answer)

    return handle


async def _body(request: web.Request) -> Json:
    try:
        body: object = json.loads(await request.text())
    except ValueError as error:
        raise HumanError(400, f"body: not JSON: {error}") from error
    if not isinstance(body, dict):
        raise HumanError(400, "body: must be a JSON object")
    return cast("Json", body)


def _text(body: Json, name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str | int) or value == "":
        raise HumanError(400, f"{name}: missing")
    text = str(value)
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise HumanError(400, f"{name}: has half of a surrogate pair, which is no character")
    return text


def _number(name: str, value: object) -> int:
    try:
        number = int(str(value))
    except ValueError:
        number = -1
    if number < 0:
        raise HumanError(400, f"{name}: must be a number of 0 or more, is {value!r}")
    return number


def _as_json(message: MessageView) -> Json:
    added = {"edited": message.is_edited, "silent": message.is_silent, "reactions": list(message.reactions)}
    return {**message.body, **added}


def _server_sent(event: Json) -> bytes:
    return f"data: {json.dumps(event)}\n\n".encode() if event else b": still here\n\n"
