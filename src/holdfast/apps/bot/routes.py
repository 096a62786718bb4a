"""Which handler answers what."""

from aiogram import Dispatcher, Router

from holdfast.apps.bot.basics import help_router, whoami_router
from holdfast.apps.bot.browsing import Browsing
from holdfast.apps.bot.campaign_starts import CampaignStarts, LoadStarts
from holdfast.apps.bot.clerk import Clerk
from holdfast.apps.bot.codes import Codes
from holdfast.apps.bot.decisions import decisions_router, unknown_buttons_router
from holdfast.apps.bot.errands import Errands
from holdfast.apps.bot.finding import Finder
from holdfast.apps.bot.gates import Gates
from holdfast.apps.bot.handing import Handing
from holdfast.apps.bot.handovers import Handovers
from holdfast.apps.bot.incidents import Incidents
from holdfast.apps.bot.load_stops import LoadStops
from holdfast.apps.bot.metrics import BotMetrics
from holdfast.apps.bot.middlewares import ErrorsInWords, OnlyKnownPeople
from holdfast.apps.bot.on_call import OnCall
from holdfast.apps.bot.opening import IncidentStarts
from holdfast.apps.bot.pausing import Pausing
from holdfast.apps.bot.questions import Questions
from holdfast.apps.bot.reasons import Reasons
from holdfast.apps.bot.roles import Roles, RolesDecide
from holdfast.apps.bot.rollbacks import Rollbacks
from holdfast.apps.bot.rollouts import RolloutStarts
from holdfast.apps.bot.runs import Runs
from holdfast.apps.bot.second_factor import SecondFactors
from holdfast.apps.bot.services import Services
from holdfast.apps.bot.startable import Startable
from holdfast.apps.bot.starting import Starting
from holdfast.apps.bot.taps import Taps
from holdfast.apps.bot.tasking import Tasking


class _OnCall:
    """The handlers of starts, incidents and duty."""

    def __init__(self, services: Services, taps: Taps) -> None:
        self.questions = Questions(services, taps)
        # What can be started from a chat; a kind that arrives adds its line here.
        kinds: dict[str, Startable] = {
            "rollout": RolloutStarts(services),
            "incident": IncidentStarts(services),
            "campaign": CampaignStarts(services),
            "load": LoadStarts(services),
        }
        self.handovers = Handovers(services, self.questions)
        self.incidents = Incidents(services, self.questions, taps, self.handovers)
        listings = {"incident": self.incidents.list_open}
        self.starting = Starting(services, self.questions, kinds, listings=listings)
        self.browsing = Browsing(services, taps, kinds, self.starting)
        self.pausing = Pausing(services, self.questions)
        self.tasking = Tasking(services, taps)
        self.load_stops = LoadStops(services, self.questions)
        self.duty = OnCall(services)

    def commands(self) -> list[Router]:
        """Return the routers of commands and awaited texts; they need a known `person`."""
        starts = (self.starting, self.browsing, self.incidents, self.handovers)
        parts = (*starts, self.pausing, self.tasking, self.load_stops, self.duty)
        return [*(part.commands() for part in parts), self.questions.private()]

    def buttons(self) -> list[Router]:
        """Return the routers of buttons."""
        return [part.buttons() for part in (self.questions, self.browsing, self.incidents, self.tasking)]


def routes(services: Services, metrics: BotMetrics) -> Dispatcher:
    """Put all handlers together, in the order in which they are asked."""
    taps, finder = Taps(services, metrics), Finder(services)
    clerk = Clerk(services, finder)
    errands, rollbacks = Errands(services, clerk), Rollbacks(services, clerk, taps)
    runs, gates, on_call = Runs(services, taps), Gates(services, finder, taps), _OnCall(services, taps)
    codes, reasons = Codes(services, errands, finder, taps), Reasons(services, errands, taps)
    known = Router(name="known-people")
    known.message.middleware(OnlyKnownPeople(services, metrics))
    known.message.middleware(RolesDecide(Roles(services)))
    known.include_routers(
        *on_call.commands(),
        runs.commands(),
        gates.commands(),
        rollbacks.commands(),
        codes.commands(),
        Handing(services, errands, finder).commands(),
        SecondFactors(services, errands).router(),
        reasons.private(),
        help_router(services),
    )
    commands = Router(name="commands")
    commands.message.middleware(ErrorsInWords(services))
    in_groups = (on_call.questions.in_groups(), reasons.in_groups())
    commands.include_routers(whoami_router(services), known, *in_groups)
    dispatcher = Dispatcher(disable_fsm=True)
    dispatcher.include_routers(
        commands,
        decisions_router(errands, taps),
        *on_call.buttons(),
        runs.buttons(),
        gates.buttons(),
        codes.buttons(),
        rollbacks.buttons(),
        reasons.buttons(),
        unknown_buttons_router(taps),
    )
    return dispatcher
