"""`holdfast schedule`: load tests that begin by themselves before a campaign."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

from cyclopts import App, Parameter
from rich.console import RenderableType

from holdfast.apps.cli.exits import Exit
from holdfast.apps.cli.output import Output
from holdfast.apps.cli.parameters import AsJson, AsPerson
from holdfast.apps.cli.tables import moment, table
from holdfast.domain.errors import DecisionRefused, HoldfastError, InvalidInput, UnknownName
from holdfast.domain.people import People, Person
from holdfast.ports.schedules import LoadSchedule, ScheduleLine, Schedules
from holdfast.runbook import blackouts
from holdfast.runbook.kinds.campaign import CampaignSpec
from holdfast.runbook.library import RunbookLibrary
from holdfast.runbook.loader import LoadedRunbook

_EXAMPLES: Final = """\
Examples:
  holdfast schedule preview autumn-sale                 the next 20 times, and what is left out
  holdfast schedule apply autumn-sale --as anna         make it, or change it after the file was changed
  holdfast schedule list
  holdfast schedule pause autumn-sale --as anna --note 'the CRM is being moved'
  holdfast schedule resume autumn-sale --as anna
  holdfast schedule trigger autumn-sale --as anna       a test now, unless one runs
  holdfast schedule remove autumn-sale --as anna

When tests begin is written in the campaign's file, load_test.schedule. Times are on the campaign's clock.

Exit codes:
  0  done
  1  you may not do that
  2  wrong input
  3  the Temporal server does not answer"""

_MOST: Final = 20
Campaign = Annotated[str, Parameter(help="Name of the campaign, as `holdfast runbooks` lists it.")]
Note = Annotated[str, Parameter(help="Why, for others.", show_default=False)]


@dataclass(frozen=True)
class ScheduleDeps:
    """What these commands work with; called only when needed.

    Attributes:
        library: the reviewed campaigns and people on this machine.
        schedules: lends the schedules at the server; entered once a command.
    """

    library: Callable[[], RunbookLibrary]
    schedules: Callable[[], AbstractAsyncContextManager[Schedules]]


def add_schedule(app: App, deps: ScheduleDeps) -> None:
    """Add `holdfast schedule` and its commands."""
    commands = ScheduleCommands(deps)
    schedule = App(
        name="schedule",
        help="Load tests that begin by themselves.",
        group="Campaigns",
        help_epilogue=_EXAMPLES,
    )
    for command in (
        commands.apply,
        commands.pause,
        commands.resume,
        commands.remove,
        commands.trigger,
        commands.preview,
    ):
        schedule.command(command)
    schedule.command(commands.all, name="list")
    app.command(schedule)


class ScheduleCommands:
    """Making, changing and looking at the schedules of load tests."""

    def __init__(self, deps: ScheduleDeps) -> None:
        """Work with these."""
        self._deps = deps

    async def apply(self, campaign: Campaign, /, *, person: AsPerson, as_json: AsJson = False) -> None:
        """Make the schedule that the campaign's file asks for, or change it to what the file says."""
        loaded, now = self._allowed(campaign, person), datetime.now(UTC)
        wanted = wanted_of(loaded)
        coming = [each for each in blackouts.preview(loaded.spec, now, most=_MOST) if not each.left_out]
        if not coming:
            raise InvalidInput(
                f"campaign '{campaign}': no test would begin any more. Look at the times with "
                f"'holdfast schedule preview {campaign}', and change load_test.schedule or the window."
            )
        async with self._deps.schedules() as schedules:
            made = await schedules.apply(wanted)
        out, zone = Output(as_json=as_json), ZoneInfo(wanted.time_zone)
        out.document({"campaign": campaign, "made": made, "next": coming[0].at.isoformat()})
        out.say(f"{'Made' if made else 'Changed'}. The first test: {_there(coming[0].at, zone)}.")

    async def pause(self, campaign: Campaign, /, *, person: AsPerson, note: Note = "") -> None:
        """Let no test begin until it is resumed."""
        self._may_hold_back(campaign, person)
        async with self._deps.schedules() as schedules:
            await schedules.pause(campaign, _noted("paused", person, note))
        Output().say(f"Paused. Tests begin again after 'holdfast schedule resume {campaign}'.")

    async def resume(self, campaign: Campaign, /, *, person: AsPerson, note: Note = "") -> None:
        """Let tests begin again."""
        self._allowed(campaign, person)
        async with self._deps.schedules() as schedules:
            await schedules.resume(campaign, _noted("resumed", person, note))
        Output().say("Resumed.")

    async def remove(self, campaign: Campaign, /, *, person: AsPerson) -> None:
        """Delete the schedule; a test that runs goes on. The campaign's file may be gone."""
        self._may_hold_back(campaign, person)
        async with self._deps.schedules() as schedules:
            await schedules.remove(campaign)
        Output().say("Removed. A test that runs goes on; stop it in its run.")

    async def trigger(self, campaign: Campaign, /, *, person: AsPerson) -> None:
        """Let a test begin now, as the schedule would: not in a blackout, and not while one makes load."""
        spec = self._allowed(campaign, person).spec
        why_not = blackouts.why_not(spec, datetime.now(UTC))
        if why_not:
            raise InvalidInput(
                f"no test begins now: {why_not}. To test all the same: "
                f"holdfast run load {spec.load_test.runbook} --campaign {campaign} --as {person}"
            )
        async with self._deps.schedules() as schedules:
            await schedules.trigger(campaign)
        Output().say(
            "A test begins; while another one makes load it skips itself. 'holdfast schedule list' shows it."
        )

    async def preview(
        self,
        campaign: Campaign,
        /,
        *,
        count: Annotated[int, Parameter(help="How many times.")] = _MOST,
        as_json: AsJson = False,
    ) -> None:
        """Say when tests would begin, and which times are left out and why; asks no server."""
        if count < 1:
            raise InvalidInput(f"--count: {count} is no number of times; write 1 or more")
        spec, now = self._deps.library().campaign(campaign).spec, datetime.now(UTC)
        times, zone = blackouts.preview(spec, now, most=count), ZoneInfo(spec.client.time_zone)
        out = Output(as_json=as_json)
        out.document(
            {
                "campaign": campaign,
                "time_zone": zone.key,
                "times": [{"at": each.at.isoformat(), "left_out": each.left_out} for each in times],
            }
        )
        if not times:
            out.say("No time is left: the window of load_test.schedule is over.")
        elif not as_json:
            rows = ((_there(each.at, zone), each.left_out or "a test begins") for each in times)
            out.show(table((f"at ({zone.key})", "what"), rows))

    async def all(self, *, as_json: AsJson = False) -> Exit:
        """List the schedules: the next tests, what the last ones came to, whether the file has changed."""
        async with self._deps.schedules() as schedules:
            lines = await schedules.all()
        now, library, out = datetime.now(UTC), self._deps.library(), Output(as_json=as_json)
        shown = [(line, _compared(library, line)) for line in lines]
        out.document({"schedules": [_document(line, file) for line, file in shown]})
        if not as_json:
            out.show(_listed(shown, now)) if shown else out.say(
                "No schedule. Make one: holdfast schedule apply CAMPAIGN --as NAME"
            )
        return Exit.DONE

    def _may_hold_back(self, campaign: str, name: str) -> None:
        """Look whether somebody may keep tests from beginning.

        Where the campaign's file is gone or cannot be read, nobody can tell who may; then everybody known may,
        because load must be stoppable.

        Raises:
            UnknownName: no such person.
            DecisionRefused: the person may not.
        """
        library = self._deps.library()
        try:
            library.campaign(campaign)
        except HoldfastError:
            _known(library.people(), name)
        else:
            self._allowed(campaign, name)

    def _allowed(self, campaign: str, name: str) -> LoadedRunbook[CampaignSpec]:
        """Return the campaign, for somebody who may start it.

        Raises:
            UnknownName: no such campaign or person.
            DecisionRefused: the person may not.
        """
        library = self._deps.library()
        people, loaded = library.people(), library.campaign(campaign)
        person = _known(people, name)
        if not _may(person, loaded.spec):
            names = ", ".join(p.name for p in people.holding((*loaded.spec.starters, loaded.spec.owner)))
            raise DecisionRefused(
                "may_not_schedule", f"'{person.name}' may not schedule tests of '{campaign}'; {names} may."
            )
        return loaded


def wanted_of(loaded: LoadedRunbook[CampaignSpec]) -> LoadSchedule:
    """Return the schedule that a campaign's file asks for; raises InvalidInput where it asks for none."""
    spec = loaded.spec
    schedule = blackouts.schedule_of(spec)
    blackouts.Cron(schedule.cron)
    return LoadSchedule(
        campaign=spec.name,
        runbook=spec.load_test.runbook,
        title=spec.title,
        digest=loaded.digest,
        cron=schedule.cron,
        time_zone=spec.client.time_zone,
        begins=spec.opens - schedule.begins,
        ends=spec.opens - schedule.ends,
        catch_up=schedule.catch_up,
        jitter=schedule.jitter,
        left_out=blackouts.left_out(spec),
    )


def _known(people: People, name: str) -> Person:
    person = people.named(name)
    if person is None:
        raise UnknownName("person", name, (p.name for p in people.people))
    return person


def _may(person: Person, spec: CampaignSpec) -> bool:
    return person.belongs_to((*spec.starters, spec.owner))


def _noted(what: str, person: str, note: str) -> str:
    return f"{what} by {person}: {note}" if note.strip() else f"{what} by {person}"


def _compared(library: RunbookLibrary, line: ScheduleLine) -> str:
    """Say whether a schedule is still what its file asks for."""
    try:
        digest = library.campaign(line.campaign).digest
    except UnknownName:
        return "the file is gone"
    except HoldfastError:
        return "the file is wrong"
    return "as in the file" if digest == line.digest else "the file was changed since: apply it"


def _document(line: ScheduleLine, file: str) -> dict[str, Any]:
    return {**line.model_dump(mode="json"), "file": file}


def _listed(shown: Iterable[tuple[ScheduleLine, str]], now: datetime) -> RenderableType:
    columns = ("campaign", "next test", "last tests", "file", "note")
    return table(columns, (tuple(_row(line, file, now)) for line, file in shown))


def _row(line: ScheduleLine, file: str, now: datetime) -> Iterator[str]:
    yield line.campaign
    coming = "paused" if line.paused else "none any more"
    yield moment(line.next_at[0], now) if line.next_at else coming
    runs = [f"{run.at:%m-%d %H:%M} {run.state or 'not known any more'}" for run in line.runs]
    skipped = [f"{line.skipped} skipped: the test before ran"] if line.skipped else []
    missed = [f"{line.missed} missed: the server was down"] if line.missed else []
    yield "\n".join([*runs, *skipped, *missed]) or "none yet"
    yield file
    yield line.note


def _there(at: datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%a %Y-%m-%d %H:%M}"
