"""The Bot API over HTTP: `/bot<token>/<method>`."""

import logging

from aiohttp import web

from holdfast.sim.telegram.directory import Bot
from holdfast.sim.telegram.errors import ApiError, bad_request
from holdfast.sim.telegram.methods import METHODS, Call, Described, Method
from holdfast.sim.telegram.params import read_params
from holdfast.sim.telegram.shapes import Json
from holdfast.sim.telegram.telegram import Telegram

_MAX_TOKEN = 80
_BAD_GATEWAY = (
    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n"
    "<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx/1.18.0</center>\r\n</body>\r\n</html>\r\n"
)
_logger = logging.getLogger(__name__)


class BotApi:
    """Answers the calls of bots."""

    def __init__(self, telegram: Telegram) -> None:
        self._telegram = telegram

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One call: find the bot and the method, run it, say how it went."""
        method = METHODS.get(request.match_info["method"].lower())
        name = method.name if method else "unknown"
        if self._telegram.weather.hits_gateway(name):
            self._telegram.telemetry.count(name, 502)
            return web.Response(status=502, text=_BAD_GATEWAY, content_type="text/html")
        try:
            answer = _answer(await self._run(request, method))
        except ApiError as error:
            answer = _refusal(error)
        except web.HTTPRequestEntityTooLarge:
            answer = _refusal(ApiError(413, "Request Entity Too Large"))
        except Exception:  # a server answers 500 whatever went wrong inside
            _logger.exception("%s failed", name)
            answer = _refusal(ApiError(500, "Internal Server Error"))
        self._telegram.telemetry.count(name, answer.status)
        # The message is in the chat, but to its sender this looks like a call that never arrived.
        is_stored = method is not None and method.stores_message and answer.status == web.HTTPOk.status_code
        if is_stored and request.transport and self._telegram.weather.drops_answer(name):
            request.transport.abort()
        return answer

    async def _run(self, request: web.Request, method: Method | None) -> object:
        bot = self._authorized(request.match_info["token"])
        if method is None:
            raise ApiError(404, "Not Found")
        try:
            params = await read_params(request)
        except ValueError as error:
            raise bad_request("can't parse the request body") from error
        return await method.handle(Call(self._telegram, bot, params))

    def _authorized(self, token: str) -> Bot:
        # What does not look like a token never reaches Telegram's own code: the proxy before it answers.
        if ":" not in token:
            raise ApiError(404, "Not Found")
        if token.startswith("0") or len(token) > _MAX_TOKEN:
            raise ApiError(401, "Unauthorized: invalid token specified")
        bot = self._telegram.directory.bot_with(token)
        if bot is None:
            raise ApiError(401, "Unauthorized")
        return bot


def _answer(result: object) -> web.Response:
    if isinstance(result, Described):
        return web.json_response({"ok": True, "result": result.result, "description": result.description})
    return web.json_response({"ok": True, "result": result})


def _refusal(error: ApiError) -> web.Response:
    body: Json = {"ok": False, "error_code": error.code, "description": error.description}
    if error.parameters:
        body["parameters"] = error.parameters
    retry_after = error.parameters.get("retry_after")
    headers = {"Retry-After": str(retry_after)} if retry_after else None
    return web.json_response(body, status=error.code, headers=headers)
