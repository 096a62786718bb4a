"""The page: a chat application in the browser, for whoever wants to be one of the people."""

from importlib import resources
from urllib.parse import urlencode

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined

from holdfast.sim.telegram.errors import HumanError
from holdfast.sim.telegram.humans import Humans
from holdfast.sim.telegram.people import Person
from holdfast.sim.telegram.shapes import Json
from holdfast.sim.telegram.telegram import Telegram
from holdfast.sim.telegram.views import ChatView, Views

_SECURITY = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_STATIC = {"app.js": "text/javascript", "app.css": "text/css", "icon.svg": "image/svg+xml"}
_TONES = 7


class Page:
    """Renders the page and serves its script and style."""

    def __init__(self, telegram: Telegram) -> None:
        self._directory = telegram.directory
        self._humans = Humans(telegram)
        self._views = Views(telegram)
        self._templates = Environment(
            loader=PackageLoader("holdfast.sim.telegram"), autoescape=True, undefined=StrictUndefined
        )

    def routes(self) -> list[web.AbstractRouteDef]:
        """The page and what it loads."""
        return [web.get("/", self._show), web.get("/static/{name}", self._static)]

    async def _show(self, request: web.Request) -> web.Response:
        try:
            context, status = self._context(request), 200
        except HumanError as error:
            context, status = {**self._nobody(), "trouble": str(error)}, error.status
        template = self._templates.get_template("chat.html" if context["person"] else "people.html")
        html = template.render(context, link=_link, tone=_tone, initial=_initial, size=_size)
        return web.Response(text=html, status=status, content_type="text/html", headers=_SECURITY)

    async def _static(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in _STATIC:
            raise web.HTTPNotFound
        text = resources.files("holdfast.sim.telegram").joinpath("static", name).read_text(encoding="utf-8")
        # Always asked for anew, so that nobody works with the script of an older version.
        headers = {**_SECURITY, "Cache-Control": "no-cache"}
        return web.Response(text=text, content_type=_STATIC[name], headers=headers)

    def _nobody(self) -> Json:
        return {"people": list(self._directory.people.values()), "person": None, "trouble": ""}

    def _context(self, request: web.Request) -> Json:
        query = request.query
        if "user" not in query:
            return self._nobody()
        person = self._humans.person(query["user"])
        chats = self._views.chats(person)
        context: Json = {**self._nobody(), "person": person, "chats": chats, "chat": None, "thread": None}
        if "chat" in query:
            room = self._humans.room(person, query["chat"])
            context |= self._conversation(person, self._views.chat(person, room), query.get("thread", ""))
        return context

    def _conversation(self, person: Person, chat: ChatView, thread: str) -> Json:
        thread_id = int(thread) if thread.isdigit() and chat.topics else None
        messages = self._views.messages(person, chat.room, thread_id=thread_id)
        return {"chat": chat, "thread": thread_id, "messages": messages}


def _link(**query: object) -> str:
    return "/?" + urlencode({name: value for name, value in query.items() if value is not None})


def _tone(number: int) -> int:
    return abs(number) % _TONES


def _initial(name: str) -> str:
    return name[:1].upper()


def _size(count: int) -> str:
    return f"{count / 1024:.1f} KB" if count < 1 << 20 else f"{count / (1 << 20):.1f} MB"
