from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from holdfast.apps.cli.deps import CliDeps
from holdfast.apps.cli.exits import Exit
from holdfast.apps.cli.output import Output, complain
from holdfast.apps.cli.parameters import AsJson
from holdfast.apps.cli.tables import table
from holdfast.domain.errors import InvalidInput
from holdfast.runbook.kinds.rollout import RolloutSpec
from holdfast.runbook.library import PEOPLE_FILE, SYSTEMS_FILE, RunbookLibrary
from holdfast.runbook.loader import load_people, load_runbook, load_systems
from holdfast.runbook.review import review
from holdfast.runbook.schema import schema_text, write_schemas

_SCHEMAS = "schemas"


class FileCommands:
    """Looking after the reviewed files; none of these needs a server."""

    def __init__(self, deps: CliDeps) -> None:
        self._deps = deps

    def validate(
        self,
        *files: Annotated[Path, Parameter(help="Runbooks, a people.yaml or a systems.yaml.")],
        everything: Annotated[
            bool, Parameter(name="--all", help="Every file that Holdfast finds.", show_default=False)
        ] = False,
    ) -> Exit:
        """Check files as a run would, and say line by line what is wrong."""
        library = self._deps.library()
        if everything:
            systems = library.systems_path()
            runbooks = (library.path(name) for name in library.names())
            files = (library.people_path(), *((systems,) if systems else ()), *runbooks)
        if not files:
            raise InvalidInput("name the files to check, or say --all")
        out = Output()
        results = [_told(path, partial(_check, path, library), out) for path in files]
        return Exit.DONE if all(results) else Exit.BAD_INPUT

    def runbooks(self, *, as_json: AsJson = False) -> Exit:
        """List the runbooks that can be started, and who may start them."""
        library, out = self._deps.library(), Output(as_json=as_json)
        lines = [_line(library, name) for name in library.names()]
        if as_json:
            out.document(lines)
        elif lines:
            columns = ("name", "title", "stages", "paces", "who may start it")
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
        kind: Annotated[str, Parameter(help="A runbook kind, `people` or `systems`.")] = "rollout",
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


def _check(path: Path, library: RunbookLibrary) -> str:
    if path.name == PEOPLE_FILE:
        return f"ok, {len(load_people(path).people)} people"
    if path.name == SYSTEMS_FILE:
        count = len(load_systems(path).systems)
        return f"ok, {count} system{'' if count == 1 else 's'}"
    loaded = load_runbook(path)
    if isinstance(loaded.spec, RolloutSpec):
        review(loaded.spec, library.people(), systems=library.systems(), source=loaded.source)
    return f"ok, digest {loaded.digest}"


def _line(library: RunbookLibrary, name: str) -> dict[str, Any]:
    path = library.path(name)
    try:
        loaded, people = library.rollout(name), library.people()
    except InvalidInput as error:
        return {"name": name, "path": str(path), "problems": str(error).splitlines()}
    spec = loaded.spec
    return {
        "name": name,
        "path": str(path),
        "digest": loaded.digest,
        "title": spec.title,
        "stages": [stage.name for stage in spec.stages],
        "paces": list(spec.paces),
        "starters": [person.name for person in people.holding(spec.starters)],
    }


def _row(line: dict[str, Any]) -> list[str]:
    if "problems" in line:
        return [line["name"], f"INVALID, see: holdfast validate {line['path']}", "", "", ""]
    lists = (", ".join(line[column]) for column in ("stages", "paces", "starters"))
    return [line["name"], line["title"], *lists]
