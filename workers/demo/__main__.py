"""`scripts/demo`: an incident on a live system, or with `--campaign` a marketing campaign, played for real."""

import argparse
import asyncio
import contextlib
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import httpx

from holdfast.domain.errors import HoldfastError
from workers.demo.facts import Facts
from workers.demo.scene import StoryFailed
from workers.demo.screen import Screen
from workers.demo.stack import Ports, Stack
from workers.demo.story import Story
from workers.demo.story_campaign import CampaignStory, campaign_stack
from workers.demo.world import World
from workers.engine import find_engine, find_prometheus
from workers.processes import ProcessFailed

_ABOUT = """\
Plays an incident on a live system on this machine and fixes it with Holdfast, in about six minutes:
the traffic triples, the CRM slows down, the bot answers 429, escalations come late; on-call starts a staged
rollout from Telegram; people approve its stages in Telegram and in the Temporal UI; a bad variant of the last
stage is caught at 5 % and rolled back by itself; the good one goes through. Then one stage changes code,
configuration and schema together, and on-call takes all of it back with two taps. At last people are called to
an incident, and the bot is killed before it has told anybody. Nothing outside this machine is touched, and no
account is needed: Telegram, the CRM, the CI system and the shop are simulators that really queue and refuse.
With --campaign another story is played, in less than five minutes: a load test by schedule fails and names what
runs out, people let the campaign go with limits and sign it off, its window is watched, planned work is frozen,
a breach calls whoever is on duty and is told to the client, a fix goes out, and a report is made.
Exits with 0 only if all of it happened.
"""


def main() -> int:
    """Run the demo; return its exit code."""
    parser = _parser()
    arguments = parser.parse_args()
    if arguments.campaign and arguments.interactive:
        parser.error("--campaign plays by the clock: it cannot wait for you as --interactive does")
    signal.signal(signal.SIGTERM, _leave)
    directory = Path(tempfile.mkdtemp(prefix="holdfast-demo-"))
    try:
        return _play(directory, arguments)
    except KeyboardInterrupt:
        print("\nstopped; everything that was started is stopped too")  # noqa: T201  a person reads it
        return 130


def _leave(_number: int, _frame: object) -> None:
    """End as Ctrl-C does: everything that was started is stopped."""
    raise KeyboardInterrupt


def _play(directory: Path, arguments: argparse.Namespace) -> int:
    stack, keep = _stack(directory, campaign=arguments.campaign), arguments.keep
    screen = Screen()
    try:
        with screen:
            screen.say("demo", "starting Temporal, Prometheus, Telegram, CRM, CI, shop, customers, Holdfast")
            stack.start()
            screen.links = stack.links
            for name, url in stack.links.items():
                screen.say("demo", f"{name}: {url}")
            facts, problem = asyncio.run(_tell(stack, screen, arguments))
        screen.summary(facts)
        if problem:
            screen.console.print(f"[bold red]The demo failed:[/] {problem}\nLogs: {directory / 'logs'}")
        elif keep:
            _wait(stack, screen)
        return 0 if facts.all_hold and not problem else 1
    except ProcessFailed as error:
        screen.console.print(f"[bold red]The demo could not start:[/] {error}")
        keep = True
        return 1
    finally:
        stack.stop()
        failed = sys.exc_info()[0] is not None
        if not (keep or failed):
            shutil.rmtree(directory, ignore_errors=True)


def _stack(directory: Path, *, campaign: bool) -> Stack:
    if campaign:
        return campaign_stack(directory)
    engine, prometheus = find_engine(), find_prometheus()
    return Stack(directory, Ports.pick(), engine=engine, prometheus=prometheus, systems=True)


async def _tell(stack: Stack, screen: Screen, arguments: argparse.Namespace) -> tuple[Facts, str]:
    """Play the story; return what was seen, and what went wrong or nothing."""
    async with World(stack) as world:
        story: Story | CampaignStory
        if arguments.campaign:
            story = CampaignStory(world, screen)
        else:
            story = Story(world, screen, interactive=arguments.interactive)
        try:
            await story.play()
        except (StoryFailed, HoldfastError, httpx.HTTPError) as error:
            return story.facts, str(error) or type(error).__name__
    return story.facts, ""


def _wait(stack: Stack, screen: Screen) -> None:
    settings = " ".join(f"{name}='{value}'" for name, value in stack.environment.items())
    screen.console.print("Everything goes on running until Ctrl-C. For the command line, in another terminal:")
    screen.console.print(f"  export {settings}", soft_wrap=True)
    for name, url in stack.links.items():
        screen.console.print(f"  {name}: {url}")
    with contextlib.suppress(KeyboardInterrupt):
        signal.pause()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/demo", description=_ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--campaign", action="store_true", help="play the campaign instead of the incident")
    parser.add_argument("--interactive", action="store_true", help="you type and press the buttons yourself")
    parser.add_argument("--keep", action="store_true", help="leave everything running at the end")
    return parser


if __name__ == "__main__":
    sys.exit(main())
