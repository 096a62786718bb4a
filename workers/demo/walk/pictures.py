"""Takes the pictures of a walk through the bot's screens: what people see on their phones, tap by tap."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from PIL import Image
from playwright.async_api import Browser, FloatRect, Page, ViewportSize
from pyotp import random_base32
from pyotp.totp import TOTP

from holdfast.domain.view import RunState
from workers.demo.scene import ANNA, BORIS, STRANGER, VERA, Scene
from workers.demo.stack import CHAT_ID
from workers.demo.walk.files import RUNBOOK, words

_PHONE: Final[ViewportSize] = {"width": 430, "height": 2600}
_SMALL: Final[ViewportSize] = {"width": 430, "height": 460}
_MARGIN: Final = 8
_COLOURS: Final = 64
_SECRET = re.compile(r"\b((?:[A-Z2-7]{4} ?){4,8})\b")
_Wanted = Callable[[dict[str, Any]], bool]


class Walk:
    """Walks through the screens in one language; each is a file `walk-<name>-<language>.png`."""

    def __init__(self, scene: Scene, browser: Browser, folder: Path, language: str) -> None:
        """Walk on this scene's stack."""
        self._scene, self._browser, self._folder = scene, browser, folder
        self._language, self._said = language, words(language)
        self._app = TOTP(random_base32())

    async def take(self) -> None:
        """Take all pictures.

        Raises:
            StoryFailed: at the first screen that did not come.
        """
        await self._enrol()
        run_id = await self._start()
        await self._stranger(run_id)
        await self._approve(run_id)
        await self._roll_back(run_id)
        await self._incident()

    # --- the screens ------------------------------------------------------------------------------------

    async def _enrol(self) -> None:
        world = self._scene.world
        await world.say(BORIS, "/enrol", chat=BORIS)
        shown = await self._until(BORIS, lambda m: bool(_SECRET.search(_text(m))))
        found = _SECRET.search(_text(shown))
        self._app = TOTP(found[1].replace(" ", "") if found else "")
        await world.say(BORIS, self._app.at(datetime.now(UTC)), chat=BORIS)
        await self._until(BORIS, lambda m: m["message_id"] > shown["message_id"] and _from_bot(m))

    async def _start(self) -> str:
        scene = self._scene
        seen = await scene.known_runs()
        await scene.world.say(ANNA, f"/rollout {RUNBOOK} pace=demo")
        question = await self._until(CHAT_ID, _has_button("y:"))
        page = await self._open(ANNA)
        await self._shoot(page, "start-question", [question["message_id"] - 1, question["message_id"]])
        await self._click(page, question["message_id"], "y:", ":yes")
        run_id = await scene.until_started("the run starts", seen)
        card = await self._until(CHAT_ID, _has_button(f"a:{run_id}:"))
        await asyncio.sleep(2)  # the answer to the tap fades, and the message is whole
        await self._shoot(page, "start-run", [card["message_id"]])
        await page.close()
        return run_id

    async def _stranger(self, run_id: str) -> None:
        await self._scene.world.say(STRANGER, f"/rollout {RUNBOOK}")
        written = await self._until(CHAT_ID, lambda m: _text(m) == f"/rollout {RUNBOOK}")
        refusal = await self._until(CHAT_ID, lambda m: m["message_id"] > written["message_id"] and _from_bot(m))
        page = await self._open(STRANGER)
        await self._shoot(page, "stranger-command", [written["message_id"], refusal["message_id"]])
        card = await self._until(CHAT_ID, _has_button(f"a:{run_id}:"))
        await page.set_viewport_size(_SMALL)
        await self._click(page, card["message_id"], f"a:{run_id}:")
        await page.locator("dialog[open]").wait_for()
        await page.screenshot(path=self._path("stranger-tap"))
        self._shrink("stranger-tap")
        await page.close()

    async def _approve(self, run_id: str) -> None:
        world = self._scene.world
        asked = await self._until(BORIS, _has_button(f"a:{run_id}:"))
        page = await self._open(BORIS, BORIS)
        await self._shoot(page, "approve-asked", [asked["message_id"]])
        await self._click(page, asked["message_id"], "a:")
        await page.locator("dialog[open] button").click()
        code = await self._until(BORIS, lambda m: m["message_id"] > asked["message_id"] and _from_bot(m))
        await asyncio.sleep(6)  # the answer to the tap fades
        await self._shoot(page, "approve-code", [code["message_id"]])
        # Each time step's code counts once, and the next one is good already.
        await world.say(BORIS, self._app.at(datetime.now(UTC), counter_offset=1), chat=BORIS)
        await self._until(BORIS, lambda m: m["message_id"] > code["message_id"] and _from_bot(m))
        await asyncio.sleep(5)
        last = [m["message_id"] for m in await world.messages(BORIS) if m["message_id"] > code["message_id"]]
        await self._shoot(page, "approve-done", [asked["message_id"], code["message_id"], *last])
        await page.close()

    async def _roll_back(self, run_id: str) -> None:
        scene = self._scene
        await scene.until_stage(run_id, "bot-rate-limit", "promoted")
        await scene.until_gate(run_id, "crm-pool")
        card = await self._until(CHAT_ID, _has_button(f"u:{run_id}:"))
        page = await self._open(ANNA)
        await self._click(page, card["message_id"], f"u:{run_id}:")
        question = await self._until(CHAT_ID, _has_button("k:"))
        await asyncio.sleep(6)
        await self._shoot(page, "rollback-question", [question["message_id"]])
        await self._click(page, question["message_id"], "k:", ":all")
        await scene.until_state(run_id, RunState.ROLLED_BACK)
        await scene.world.runs.result(run_id)
        await asyncio.sleep(6)
        last = [
            m["message_id"] for m in await scene.world.messages() if m["message_id"] > question["message_id"]
        ]
        await self._shoot(page, "rollback-done", [question["message_id"], *last])
        await page.close()

    async def _incident(self) -> None:
        scene, said = self._scene, self._said
        seen = await scene.known_runs()
        await scene.world.say(VERA, f"/incident {said['problem']} tier=gold value=250000")
        question = await self._until(CHAT_ID, _has_button("y:"))
        page = await self._open(VERA)
        await self._shoot(page, "incident-question", [question["message_id"] - 1, question["message_id"]])
        await self._click(page, question["message_id"], "y:", ":yes")
        run_id = await scene.until_started("the incident is open", seen)
        await page.close()
        user, call = await self._called(run_id)
        page = await self._open(user, user)
        await self._shoot(page, "incident-call", [call["message_id"]])
        await self._click(page, call["message_id"], f"i:{run_id}:k")
        await scene.until_state(run_id, RunState.ACKNOWLEDGED)
        await scene.world.say(user, f"/note {run_id} {said['note']}", chat=user)
        await asyncio.sleep(12)
        await page.close()
        await self._topic(user)

    async def _called(self, run_id: str) -> tuple[int, dict[str, Any]]:
        """Return who is called first, and the call."""

        async def call() -> tuple[int, dict[str, Any]] | None:
            for user in (ANNA, BORIS):
                for message in await self._scene.world.messages(user):
                    if _has_button(f"i:{run_id}:k")(message):
                        return user, message
            return None

        return await self._scene.until("the person on duty is called", call)

    async def _topic(self, user: int) -> None:
        [thread] = {
            m["message_thread_id"] for m in await self._scene.world.messages() if "message_thread_id" in m
        }
        ids = [
            m["message_id"] for m in await self._scene.world.messages() if m.get("message_thread_id") == thread
        ]
        page = await self._open(user, thread=thread)
        await self._shoot(page, "incident-topic", ids)
        await page.close()

    # --- the page ---------------------------------------------------------------------------------------

    async def _open(self, user: int, chat: int = CHAT_ID, *, thread: int | None = None) -> Page:
        page = await self._browser.new_page(viewport=_PHONE, device_scale_factor=1.5)
        topic = f"&thread={thread}" if thread else ""
        await page.goto(f"{self._scene.world.stack.chat_page(user, chat)}{topic}")
        return page

    async def _click(self, page: Page, message_id: int, begins: str, ends: str = "") -> None:
        ending = f"[data-press$='{ends}']" if ends else ""
        await page.locator(f"#m{message_id} button[data-press^='{begins}']{ending}").first.click()

    async def _shoot(self, page: Page, name: str, message_ids: list[int]) -> None:
        """Take a picture of these messages as they are now."""
        await page.mouse.move(0, 0)
        await page.wait_for_timeout(1500)
        boxes = [await page.locator(f"#m{number}").bounding_box() for number in message_ids]
        seen = [box for box in boxes if box]
        top = min(box["y"] for box in seen) - _MARGIN
        bottom = max(box["y"] + box["height"] for box in seen) + _MARGIN
        top, width = max(top, 0.0), float(_PHONE["width"])
        clip = FloatRect(x=0.0, y=top, width=width, height=bottom - top)
        await page.screenshot(path=self._path(name), clip=clip)
        self._shrink(name)

    def _shrink(self, name: str) -> None:
        """Keep as few colours as a chat needs: a third of the size."""
        with Image.open(self._path(name)) as picture:
            few = picture.convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE)
        few.save(self._path(name), optimize=True)

    def _path(self, name: str) -> Path:
        return self._folder / f"walk-{name}-{self._language}.png"

    async def _until(self, chat: int, wanted: _Wanted) -> dict[str, Any]:
        """Wait for a message that is wanted, and return the newest one."""

        async def found() -> dict[str, Any] | None:
            return next((m for m in reversed(await self._scene.world.messages(chat)) if wanted(m)), None)

        look: Callable[[], Awaitable[dict[str, Any] | None]] = found
        return await self._scene.until("a message comes", look)


def _text(message: dict[str, Any]) -> str:
    return str(message.get("text") or message.get("caption") or "")


def _from_bot(message: dict[str, Any]) -> bool:
    return bool(message["from"]["is_bot"])


def _has_button(begins: str) -> _Wanted:
    def wanted(message: dict[str, Any]) -> bool:
        rows = message.get("reply_markup", {}).get("inline_keyboard", ())
        return any(str(button.get("callback_data", "")).startswith(begins) for row in rows for button in row)

    return wanted
