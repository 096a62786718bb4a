"""Takes pictures of the demo's campaign while it is played: what its people see, and the report."""

from pathlib import Path
from typing import Any, Final

from playwright.async_api import Browser, FloatRect, ViewportSize

from workers.demo.campaign_scene import CampaignScene, text_of
from workers.demo.scene import ANNA, BORIS, GLEB
from workers.demo.stack import CHAT_ID, CLIENT, CLIENT_CHAT_ID

_PHONE: Final[ViewportSize] = {"width": 430, "height": 3200}
_DESK: Final[ViewportSize] = {"width": 1100, "height": 900}
_MARGIN: Final = 8


class CampaignPictures:
    """Takes pictures at the story's moments; each is a file `campaign-<name>.png`."""

    def __init__(self, browser: Browser, folder: Path) -> None:
        """Take them with this browser, into this folder."""
        self._browser, self._folder = browser, folder

    async def take(self, scene: CampaignScene, moment: str) -> None:
        """Take the pictures of a moment that the story has reached."""
        match moment:
            case "failed":
                await self._shoot(scene, "go", BORIS, BORIS, newest=2)
                await self._shoot(scene, "go-ru", GLEB, GLEB, newest=1)
            case "sign-off":
                await self._shoot(scene, "sign-off", BORIS, BORIS, newest=1)
            case "called":
                await self._shoot(scene, "page", ANNA, ANNA, newest=1)
            case "breach":
                await self._shoot(scene, "card", ANNA, CHAT_ID, about=scene.run)
            case "over":
                await self._shoot(scene, "client", CLIENT, CLIENT_CHAT_ID, newest=100)
                await self._shoot(scene, "card-over", ANNA, CHAT_ID, about=scene.run)
                await self._report(scene)
            case _:
                return

    async def _shoot(
        self, scene: CampaignScene, name: str, user: int, chat: int, *, newest: int = 1, about: str = ""
    ) -> None:
        """Take a picture of a chat's newest messages, or of the first one that is about something."""
        messages: list[dict[str, Any]] = [m for m in await scene.world.messages(chat) if text_of(m)]
        chosen = [m for m in messages if about in text_of(m)][:1] if about else messages[-newest:]
        page = await self._browser.new_page(viewport=_PHONE, device_scale_factor=1.5)
        await page.goto(scene.world.stack.chat_page(user, chat))
        await page.wait_for_timeout(1500)
        await page.locator(f"#m{chosen[0]['message_id']}").scroll_into_view_if_needed()
        found = [await page.locator(f"#m{m['message_id']}").bounding_box() for m in chosen]
        boxes = [box for box in found if box]
        top = max(0.0, min(box["y"] for box in boxes) - _MARGIN)
        bottom = max(box["y"] + box["height"] for box in boxes) + _MARGIN
        clip = FloatRect(x=0.0, y=top, width=float(_PHONE["width"]), height=bottom - top)
        await page.screenshot(path=self._folder / f"campaign-{name}.png", clip=clip)
        await page.close()

    async def _report(self, scene: CampaignScene) -> None:
        page = await self._browser.new_page(viewport=_DESK)
        await page.goto((scene.world.stack.state / "reports" / f"{scene.run}.html").as_uri())
        await page.screenshot(path=self._folder / "campaign-report.png", full_page=True)
        await page.close()
