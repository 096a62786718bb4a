"""What the chapters of the demo's campaign share: its run, its chats, and taps on what people were asked."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

from holdfast.domain.campaign import CampaignView
from holdfast.domain.gates import Gate
from holdfast.domain.view import RunView
from workers.demo.scene import ANNA, BORIS, GLEB, NAMES, VERA, Button, Scene, StoryFailed
from workers.demo.stack import CHAT_ID, CLIENT_CHAT_ID

# Who is asked for which role by the demo's campaign, and whose tasks are with it.
ROLES: Final = {"commander": BORIS, "communications": GLEB, "operations": VERA, "client-liaison": ANNA}


class CampaignScene(Scene):
    """A scene with one campaign.

    Attributes:
        run: id of the campaign's run; empty before it is started.
        camera: is called with the scene and the name of a moment that the story has reached.
    """

    run: str = ""
    camera: "Callable[[CampaignScene, str], Awaitable[None]] | None" = None

    async def moment(self, name: str) -> None:
        """Let pictures be taken of what is seen at this moment."""
        if self.camera is not None:
            await self.camera(self, name)

    async def view(self, run: str = "") -> RunView:
        """Return what a run shows: the campaign's, where none is named."""
        return await self.world.runs.view(run or self.run)

    async def campaign(self) -> CampaignView:
        """Return how the campaign stands."""
        view = await self.view()
        if view.campaign is None:
            raise StoryFailed(f"{self.run} shows no campaign")
        return view.campaign

    async def until_campaign(self, what: str, reached: Callable[[CampaignView], object]) -> CampaignView:
        """Wait until the campaign stands like that; a run that has ended early ends the story."""

        async def look() -> CampaignView | None:
            view = await self.view()
            campaign = await self.campaign()
            if reached(campaign):
                return campaign
            if view.state.ended:
                raise StoryFailed(f"the campaign has ended early, {view.state}: {view.headline}")
            return None

        return await self.until(what, look)

    # --- taps -------------------------------------------------------------------------------------------

    async def take_what_is_asked(self, user: int, *, many: int) -> list[str]:
        """Tap the buttons of so many roles or tasks in a private chat; return what the person is told."""
        answers: list[str] = []
        tapped: set[int] = set()
        while len(answers) < many:
            button = await self._errand(user, tapped)
            tapped.add(button.message_id)
            answers.append(await self.tap(user, button, chat=user))
            self.screen.say(NAMES[user], f"taps {button.label}: {answers[-1]}")
        return answers

    async def _errand(self, user: int, tapped: set[int]) -> Button:
        async def shown() -> Button | None:
            buttons = _buttons(await self.world.messages(user), f"t:{self.run}:")
            return next((button for button in buttons if button.message_id not in tapped), None)

        return await self.until(f"{NAMES[user]} is asked for a role or a task", shown)

    async def answer(self, user: int, run: str, letter: str) -> str:
        """Tap one of the answers of a run's open gate in a private chat; return what the person is told."""
        button = await self.until_button(f"{letter}:{run}:", chat=user)
        told = await self.tap(user, button, chat=user)
        self.screen.say(NAMES[user], f"taps {button.label}: {told}")
        return told

    async def until_open_gate(self, run: str, *, begins: str) -> Gate:
        """Wait until a run asks for a decision, at a gate whose name begins like that."""

        async def asked() -> Gate | None:
            gate = (await self.view(run)).gate
            return gate if gate and gate.id.startswith(begins) else None

        return await self.until(f"{run} asks for {begins}", asked)

    # --- chats ------------------------------------------------------------------------------------------

    async def until_told(self, chat: int, *words: str) -> dict[str, Any]:
        """Wait for a message with all of these words in a chat, and say its first line."""

        async def told() -> dict[str, Any] | None:
            messages = reversed(await self.world.messages(chat))
            return next((m for m in messages if all(word in text_of(m) for word in words)), None)

        found = await self.until(f"the chat {chat} is told: {', '.join(words)}", told)
        who = {CHAT_ID: "team", CLIENT_CHAT_ID: "client"}.get(chat) or NAMES[chat]
        self.screen.say("holdfast", f"→ {who}: {text_of(found).splitlines()[0]}")
        return found

    async def both(self, *acts: Any) -> None:
        """Do several things at once, as several people do."""
        await asyncio.gather(*acts)


def text_of(message: dict[str, Any]) -> str:
    """Return a message's text, or what stands below its picture."""
    return str(message.get("text") or message.get("caption") or "")


def _buttons(messages: Iterable[dict[str, Any]], begins: str) -> list[Button]:
    return [
        Button(int(message["message_id"]), str(button["callback_data"]), button["text"], text_of(message))
        for message in messages
        for row in message.get("reply_markup", {}).get("inline_keyboard", ())
        for button in row
        if str(button.get("callback_data", "")).startswith(begins)
    ]
