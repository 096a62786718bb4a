"""The parts that the messages of all runs have: the head, the timeline, and who began it."""

from datetime import tzinfo

from aiogram.utils.formatting import Bold, Code, ExpandableBlockQuote, Italic, Text

from holdfast.adapters.telegram import card_texts as texts
from holdfast.adapters.telegram.layout import link
from holdfast.adapters.telegram.wording import clip, clock, say, zone_name
from holdfast.domain.view import RunState, RunView
from holdfast.i18n import understood
from holdfast.i18n.times import on_clock

_STATE_EMOJI = {
    RunState.PREPARING: "🕓",
    RunState.CHECKING: "🔎",
    RunState.WAITING: "✋",
    RunState.CHANGING: "🔧",
    RunState.WATCHING: "👀",
    RunState.ROLLING_BACK: "⏪",
    RunState.PROMOTED: "✅",
    RunState.ROLLED_BACK: "↩️",
    RunState.STOPPED: "⏹️",
    RunState.FAILED: "❌",
    RunState.PAUSED: "⏸️",
    RunState.OPEN: "🚨",
    RunState.ACKNOWLEDGED: "🙋",
    RunState.RESOLVED: "✅",
    RunState.TESTING: "🏋️",
    RunState.PASSED: "✅",
    RunState.NOT_PASSED: "⛔",
    RunState.FINISHED: "🏁",
}


def top(view: RunView, notice: str, *, limit: int) -> list[Text]:
    """Return state, title and headline, below the notice if there is one."""
    lines: list[Text] = [Italic(clip(notice, 200))] if notice.strip() else []
    state = f"{_STATE_EMOJI[view.state]} {say(texts.STATES[view.state]).upper()}"
    lines.append(Text(Bold(state), " · ", clip(view.title, 120)))
    if view.headline:
        lines.append(Text(clip(understood(view.headline), limit)))
    if view.paused_by:
        lines.append(Text(say(texts.PAUSED, name=view.paused_by)))
    return lines


def timeline(view: RunView, zone: tzinfo, *, lines: int) -> list[Text]:
    """Return the newest lines of what happened, the newest first."""
    newest = view.log[-lines:] if lines else []
    told = [
        f"{clock(line.at, zone)} {clip(on_clock(understood(line.text), zone), 200)}"
        for line in reversed(newest)
    ]
    return [ExpandableBlockQuote("\n".join(told))] if told else []


def foot(view: RunView, zone: tzinfo, began: str) -> list[Text]:
    """Return the id, who began it (in the words of `began`), and where to look further."""
    who = say(began, name=clip(view.requested_by, 40), zone=zone_name(zone))
    run = Text(Code(clip(view.run_id, 100) or "?"), who)
    return [run, *link(say(texts.OPEN_UI), view.ui_url, name=say(texts.TEMPORAL_UI))]
