"""The application: from a request to a page."""

from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from holdfast.apps.web.deciding import Deciding
from holdfast.apps.web.forms import ROLL_BACK_PIN, Fields, FormSeals
from holdfast.apps.web.guard import Guarded
from holdfast.apps.web.pages import Pages
from holdfast.apps.web.reporting import Reporting
from holdfast.apps.web.services import WebServices
from holdfast.apps.web.sheet import Said
from holdfast.apps.web.undoing import RollingBack
from holdfast.domain.decisions import Answer
from holdfast.domain.errors import DecisionRefused, HoldfastError, InvalidInput, Unavailable, UnknownName
from holdfast.domain.links import LinkClaim, LinkRefused

_STYLE: Final = Path(__file__).parent / "static" / "page.css"
_STATUS: Final = {
    Answer.NOT_AN_APPROVER: 403,
    Answer.NOT_YOUR_TURN: 403,
    Answer.NOT_PROVEN: 403,
    Answer.CODE_NEEDED: 403,
    Answer.EXPIRED: 410,
    Answer.REASON_NEEDED: 422,
    Answer.UNREADABLE: 422,
}
_CONFLICT: Final = 409
_BROKEN: Final = (
    "Holdfast could not handle that, and the error is in its log. Open your link again to see where things "
    "stand before you answer again."
)


def build_app(services: WebServices) -> Starlette:
    """Return the web page as an ASGI application.

    It serves `/g/{token}`, `/reports/{run}`, `/static/page.css` and `/healthz`.
    """
    seals = FormSeals(services.keyring)
    pages = Pages(services, seals)
    gates, reporting = _Gates(services, pages, seals), Reporting(services, pages, seals)
    return Starlette(
        routes=[
            Route("/g/{token}", gates.show, methods=["GET"]),
            Route("/g/{token}", gates.take, methods=["POST"]),
            Route("/reports/{run}", reporting.show, methods=["GET"]),
            Route("/reports/{run}", reporting.send, methods=["POST"]),
            Route("/static/page.css", _style),
            Route("/healthz", _healthz),
        ],
        middleware=[Middleware(Guarded, broken=lambda: pages.told("That went wrong", _BROKEN, 500))],
        exception_handlers={HoldfastError: gates.told, HTTPException: gates.told},
    )


class _Gates:
    """The page of a gate: shown by GET, answered by POST."""

    def __init__(self, services: WebServices, pages: Pages, seals: FormSeals) -> None:
        self._services = services
        self._pages = pages
        self._seals = seals
        self._deciding = Deciding(services, pages)
        self._rolling_back = RollingBack(services, pages, self._deciding)

    async def show(self, request: Request) -> Response:
        token, claim = self._link(request)
        return await self._pages.gate(token, claim)

    async def take(self, request: Request) -> Response:
        token, claim = self._link(request)
        fields = await self._seals.read(request, token)
        try:
            said = await self._said(claim, fields)
        except LinkRefused:
            raise
        except HoldfastError as error:
            said, status = Said("bad", str(error)), _status(error)
            return await self._shown(token, claim, said, typed=fields, status=status)
        return await self._shown(token, claim, said, typed=fields if said.tone == "plain" else None)

    async def told(self, _: Request, error: Exception) -> Response:
        """Say in words why there is no page."""
        if isinstance(error, HTTPException):
            return self._not_served(error)
        text = str(error)
        if isinstance(error, Unavailable):
            text = f"{text}. Nothing was recorded; try again in a minute."
        return self._pages.told(_title(error), text, _status(error))

    def _not_served(self, error: HTTPException) -> Response:
        texts = {
            404: "There is no such page. Open the link in your message, whole.",
            405: "That is not possible here.",
        }
        response = self._pages.told("Not here", texts.get(error.status_code, error.detail), error.status_code)
        response.headers.update(error.headers or {})
        return response

    async def _said(self, claim: LinkClaim, fields: Fields) -> Said:
        if fields.about_rollback:
            tone = "plain" if fields.say == ROLL_BACK_PIN else "good"
            return Said(tone, await self._rolling_back.take(claim, fields))
        if fields.say == "pin":
            return Said("plain", await self._deciding.send_pin(claim))
        reply = await self._deciding.answer(claim, fields)
        return Said("good", reply.text)

    async def _shown(
        self, token: str, claim: LinkClaim, said: Said, *, typed: Fields | None, status: int = 200
    ) -> Response:
        """Show the gate as it is now; when the run cannot be shown, at least what became of the answer."""
        try:
            return await self._pages.gate(token, claim, said=said, typed=typed, status=status)
        except HoldfastError:
            title = "Your answer" if said.tone == "good" else "Not done"
            return self._pages.told(title, said.text, status)

    def _link(self, request: Request) -> tuple[str, LinkClaim]:
        token = request.path_params["token"]
        return token, self._services.links.read(token, self._services.now())


def _status(error: Exception) -> int:
    if isinstance(error, DecisionRefused):
        return _STATUS.get(Answer(error.answer), _CONFLICT)
    if isinstance(error, UnknownName):
        return 404
    return 422 if isinstance(error, InvalidInput) else 503


def _title(error: Exception) -> str:
    if isinstance(error, LinkRefused):
        return "This link is too old" if error.answer == Answer.EXPIRED else "This link opens nothing"
    return "Not now" if isinstance(error, Unavailable) else "That is not possible"


async def _style(_: Request) -> Response:
    return FileResponse(_STYLE, media_type="text/css", headers={"Cache-Control": "public, max-age=3600"})


async def _healthz(_: Request) -> Response:
    return PlainTextResponse("ok\n")
