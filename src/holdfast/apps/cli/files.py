from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias

from cyclopts import Parameter

from holdfast.apps.cli.deps import CliDeps
from holdfast.apps.cli.exits import Exit
from holdfast.apps.cli.output import Output, complain, warn
from holdfast.apps.cli.parameters import AsJson
from holdfast.apps.cli.tables import table
from holdfast.domain.errors import InvalidInput
from holdfast.runbook.campaigns import review_campaign
from holdfast.runbook.kinds.campaign import CampaignSpec
from holdfast.runbook.kinds.incident import IncidentSpec
from holdfast.runbook.kinds.load import LoadSpec
from holdfast.runbook.kinds.rollout import RolloutSpec
from holdfast.runbook.kinds.table import KINDS
from holdfast.runbook.library import (
    COMMANDS_FILE,
    DUTY_FILE,
    PEOPLE_FILE,
    POLICIES_FILE,
    PRIORITIES_FILE,
    SYSTEMS_FILE,
    RunbookLibrary,
)
from holdfast.runbook.load_review import review_load, untold_contexts, warnings_of
from holdfast.runbook.loader import (
    LoadedRunbook,
    load_commands,
    load_duty,
    load_people,
    load_policies,
    load_priorities,
    load_runbook,
    load_systems,
)
from holdfast.runbook.on_call_review import review_commands, review_duty, review_incident, review_policies
from holdfast.runbook.review import review
from holdfast.runbook.schema import MODELS, schema_text, write_schemas
from holdfast.runbook.source import read_source

_SCHEMAS = "schemas"
_Said: TypeAlias = tuple[dict[str, Any], tuple[str, ...]]


class FileCommands:
    """Looking after the reviewed files; none of these needs a server."""

    def __init__(self, deps: CliDeps) -> None:
        self._deps = deps

    def validate(
        self,
        *files: Annotated[
            Path, Parameter(help="Runbooks, people.yaml, systems.yaml, escalation/duty.yaml, ….")
        ],
        everything: Annotated[
            bool, Parameter(name="--all", help="Every file that Holdfast finds.", show_default=False)
        ] = False,
    ) -> Exit:
        """Check files as a run would, and say line by line what is wrong."""
        library = self._deps.library()
        if everything:
            files = tuple(_every_file(library))
        if not files:
            raise InvalidInput("name the files to check, or say --all")
        out = Output()
        results = [_told(path, partial(_check, path, library), out) for path in files]
        return Exit.DONE if all(results) else Exit.BAD_INPUT

    def runbooks(self, *, as_json: AsJson = False) -> Exit:
        """List the runbooks that can be started, and who may start them."""
        library, out = self._deps.library(), Output(as_json=as_json)
        lines = list(_lines(library))
        if as_json:
            out.document(lines)
        elif lines:
            columns = ("name", "kind", "title", "stages", "paces", "who may start it")
            out.show(table(columns, (_row(line) for line in lines)))
        else:
            out.say(f"No runbook in {', '.join(map(str, library.directories))}.")
        return Exit.BAD_INPUT if any("problems" in line for line in lines) else Exit.DONE

    def people(self, *, as_json: AsJson = False) -> None:
        """List the people who may start runs and answer gates."""
        out, people = Output(as_json=as_json), self._deps.library().people().people
        if as_json:
            out.document([p.model_dump(mode="json") for p in people])
            return
        rows = ((p.name, p.title, ", ".join(p.roles), str(p.telegram_id or "no")) for p in people)
        out.show(table(("name", "title", "roles", "Telegram id"), rows))

    def schema(
        self,
        kind: Annotated[str, Parameter(help=f"One of: {', '.join(MODELS)}.")] = "rollout",
        /,
        *,
        write: Annotated[
            bool, Parameter(help="Write all schemas beside the runbooks instead.", show_default=False)
        ] = False,
    ) -> None:
        """Print the JSON schema of a kind of file, for editors."""
        out = Output()
        if not write:
            out.say(schema_text(kind).rstrip())
            return
        directories = self._deps.library().directories
        if not directories:
            raise InvalidInput("no runbook directory is set, so there is no place for schemas")
        for path in write_schemas(directories[0] / _SCHEMAS):
            out.say(f"wrote {path}")


def _told(path: Path, check: Callable[[], str], out: Output) -> bool:
    """Say what a check found and return whether that is good."""
    try:
        out.say(f"{path}: {check()}")
    except InvalidInput as error:
        complain(str(error))
        return False
    return True


def _every_file(library: RunbookLibrary) -> Iterator[Path]:
    yield library.people_path()
    yield from (path for name in _CHECKS if name != PEOPLE_FILE and (path := library.file(name)) is not None)
    yield from (library.path(name, kind) for kind in KINDS for name in _own_names(library, kind))


def _own_names(library: RunbookLibrary, kind: str) -> list[str]:
    """Return the names of one kind; a file whose kind cannot be told is among those of the first kind only."""
    earlier = {
        library.path(name, k) for k in takewhile(lambda k: k != kind, KINDS) for name in library.names(k)
    }
    return [name for name in library.names(kind) if library.path(name, kind) not in earlier]


def _check(path: Path, library: RunbookLibrary) -> str:
    """Check a file and return what it holds.

    Raises:
        InvalidInput: it is wrong, line by line.
    """
    named = next((check for name, check in _CHECKS.items() if path.name == Path(name).name), _check_runbook)
    check = _check_runbook if path.parent.name in KINDS else named  # a runbook may have such a name
    return f"ok, {check(path, library)}"


def _check_runbook(path: Path, library: RunbookLibrary) -> str:
    loaded = load_runbook(path)
    _review(loaded, library)
    return f"digest {loaded.digest}"


def _review(loaded: LoadedRunbook[Any], library: RunbookLibrary) -> None:
    """Check a runbook against the files beside it; raises RunbookInvalid, line by line."""
    people, source = library.people(), loaded.source
    match loaded.spec:
        case RolloutSpec() as rollout:
            review(rollout, people, systems=library.systems(), source=source)
        case IncidentSpec() as incident:
            review_incident(incident, people, library.policies(), source=source)
        case CampaignSpec() as campaign:
            review_campaign(campaign, people, library, source=source)
            warn([untold_contexts(campaign, library.load_test(campaign.load_test.runbook).spec)])
        case LoadSpec() as load:
            review_load(load, people, source=source)
            warn(warnings_of(load, library))
        case _:
            pass


def _check_people(path: Path, _: RunbookLibrary) -> str:
    return f"{len(load_people(path).people)} people"


def _check_systems(path: Path, _: RunbookLibrary) -> str:
    return _counted(len(load_systems(path).systems), "system")


def _check_duty(path: Path, library: RunbookLibrary) -> str:
    rotas = load_duty(path).rotas
    review_duty(rotas, library.people(), source=read_source(path))
    return _counted(len(rotas), "rota")


def _check_policies(path: Path, library: RunbookLibrary) -> str:
    policies = load_policies(path).policies
    review_policies(policies, library.people(), library.duty(), source=read_source(path))
    return _counted(len(policies), "escalation policy", "escalation policies")


def _check_priorities(path: Path, _: RunbookLibrary) -> str:
    return _counted(len(load_priorities(path).tiers), "customer tier")


def _check_commands(path: Path, library: RunbookLibrary) -> str:
    rules = load_commands(path)
    review_commands(rules, library.people(), source=read_source(path))
    return f"rules for {_counted(len(rules.commands), 'command')}"


_CHECKS: Final[Mapping[str, Callable[[Path, RunbookLibrary], str]]] = {
    PEOPLE_FILE: _check_people,
    SYSTEMS_FILE: _check_systems,
    COMMANDS_FILE: _check_commands,
    DUTY_FILE: _check_duty,
    POLICIES_FILE: _check_policies,
    PRIORITIES_FILE: _check_priorities,
}


def _counted(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or f'{one}s'}"


def _lines(library: RunbookLibrary) -> Iterator[dict[str, Any]]:
    for kind in KINDS:
        for name in _own_names(library, kind):
            path = library.path(name, kind)
            try:
                yield {"name": name, "kind": kind, "path": str(path), **_described(library, name, kind)}
            except InvalidInput as error:
                yield {"name": name, "kind": kind, "path": str(path), "problems": str(error).splitlines()}


def _described(library: RunbookLibrary, name: str, kind: str) -> dict[str, Any]:
    describe, people = _DESCRIBED[kind], library.people()
    said, starters = describe(library, name)
    return {"stages": [], "paces": [], **said, "starters": [person.name for person in people.holding(starters)]}


def _rollout(library: RunbookLibrary, name: str) -> _Said:
    loaded = library.rollout(name)
    stages, paces = [stage.name for stage in loaded.spec.stages], list(loaded.spec.paces)
    return {**_head(loaded), "stages": stages, "paces": paces}, loaded.spec.starters


def _incident(library: RunbookLibrary, name: str) -> _Said:
    loaded = library.incident(name)
    return {**_head(loaded), "escalation": loaded.spec.escalation}, loaded.spec.openers


def _campaign(library: RunbookLibrary, name: str) -> _Said:
    loaded = library.campaign(name)
    spec = loaded.spec
    window = {"opens": spec.opens.isoformat(), "closes": spec.closes.isoformat()}
    return {
        **_head(loaded),
        **window,
        "load_test": spec.load_test.runbook,
        "contexts": list(spec.contexts),
    }, spec.starters


def _load(library: RunbookLibrary, name: str) -> _Said:
    loaded = library.load_test(name)
    phases = loaded.spec.all_phases
    rates = {"highest_rate": max(phase.rate for phase in phases), "seconds": loaded.spec.lasts.total_seconds()}
    return {**_head(loaded), **rates}, loaded.spec.starters


def _head(loaded: LoadedRunbook[Any]) -> dict[str, Any]:
    return {"digest": loaded.digest, "title": loaded.spec.title}


# Of each kind what stands in the list, and the roles and names of those who may start it.
_DESCRIBED: Final[Mapping[str, Callable[[RunbookLibrary, str], _Said]]] = {
    "rollout": _rollout,
    "incident": _incident,
    "campaign": _campaign,
    "load": _load,
}


def _row(line: dict[str, Any]) -> list[str]:
    if "problems" in line:
        return [line["name"], line["kind"], f"INVALID, see: holdfast validate {line['path']}", "", "", ""]
    lists = (", ".join(line[column]) for column in ("stages", "paces", "starters"))
    return [line["name"], line["kind"], line["title"], *lists]
