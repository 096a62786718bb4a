"""The users' revision scripts: which there are, how one gets from one to another, what can be taken back."""

import ast
import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from alembic.runtime.migration import MigrationStep, RevisionStep
from alembic.script import Script, ScriptDirectory

from holdfast.domain.errors import InvalidInput

_NEAR: Final = 6


@dataclass(frozen=True)
class Scripts:
    """The scripts of one system, as they are at this moment.

    Attributes:
        field_name: where people say where the scripts are.
        known: every script by its revision.
    """

    field_name: str
    directory: ScriptDirectory
    known: dict[str, Script]

    def between(self, low: str, high: str) -> list[Script]:
        """Return what leads from `low`, which is the database's revision, up to `high`, in this order.

        Raises:
            InvalidInput: there is no such way; the revisions that can be reached are named.
        """
        for revision in (high, low):
            if revision and revision not in self.known:
                raise InvalidInput(
                    f"{self.field_name}: there is no revision '{revision}'; {self._near(revision, low)}"
                )
        if low == high:
            return []
        if not high or (low and high in self._below(low)):
            raise InvalidInput(
                f"revision '{high}' is below '{low}', where the database is: a change only goes up; "
                f"{self._near(high, low)}"
            )
        if low and low not in self._below(high):
            raise InvalidInput(
                f"revision '{high}' is on another branch than '{low}', where the database is: merge the "
                f"branches; {self._near(high, low)}"
            )
        there = self._below(low) if low else set[str]()
        return [script for script in reversed(self._walk(high)) if script.revision not in there]

    def up(self, scripts: Sequence[Script]) -> list[RevisionStep]:
        """Return the steps that run these scripts upward."""
        return [MigrationStep.upgrade_from_script(self.directory.revision_map, script) for script in scripts]

    def down(self, scripts: Sequence[Script]) -> list[RevisionStep]:
        """Return the steps that take these scripts back, the last one first."""
        steps = MigrationStep.downgrade_from_script
        return [steps(self.directory.revision_map, script) for script in reversed(scripts)]

    def _walk(self, top: str) -> list[Script]:
        # Alembic's own way through branches and dependencies; it begins at the top.
        revisions = self.directory.iterate_revisions(top, "base", implicit_base=True)
        return [self.known[script.revision] for script in revisions]

    def _below(self, top: str) -> set[str]:
        """Return this revision and all that it builds on."""
        return {script.revision for script in self._walk(top)}

    def _near(self, wanted: str, low: str) -> str:
        above = [r for r, script in self.known.items() if low and low in _parents(script)]
        alike = difflib.get_close_matches(wanted, self.known, n=_NEAR, cutoff=0.5)
        heads = [str(head) for head in self.directory.get_heads()]
        near = list(dict.fromkeys([*above, *alike, *heads]))[:_NEAR]
        return f"known near it: {', '.join(near)}" if near else "there are no revisions at all"


def read_scripts(field_name: str, path: Path) -> Scripts:
    """Load all scripts.

    Raises:
        InvalidInput: there are none, or they cannot be loaded.
    """
    if not (path / "versions").is_dir():
        raise InvalidInput(
            f"{field_name}: there is no directory {path / 'versions'}; name the directory that has the "
            "'versions' folder of Alembic's scripts"
        )
    directory = ScriptDirectory(str(path))
    try:
        known = {script.revision: script for script in directory.walk_revisions()}
    except Exception as error:  # noqa: BLE001  scripts are other people's code and may raise anything
        first = (str(error).strip().splitlines() or [""])[0]
        raise InvalidInput(
            f"{field_name}: the scripts cannot be loaded: {type(error).__name__}: {first}"
        ) from None
    return Scripts(field_name, directory, known)


def irreversible(scripts: Sequence[Script]) -> list[str]:
    """Return the revisions whose upgrade does something, and whose downgrade does nothing or only raises."""
    return [script.revision for script in scripts if not _is_reversible(script)]


def _is_reversible(script: Script) -> bool:
    functions = {name: _body(script, name) for name in ("upgrade", "downgrade")}
    return _acts(functions["downgrade"]) or not _acts(functions["upgrade"])


def _body(script: Script, name: str) -> Sequence[ast.stmt] | None:
    """Return the function's statements, None where there is none; the file's where it comes from elsewhere."""
    found: Any = getattr(script.module, name, None)
    if not callable(found):
        return None
    tree = ast.parse(Path(script.path).read_text(encoding="utf-8"))
    defined = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name]
    return defined[-1].body if defined else tree.body


def _acts(body: Sequence[ast.stmt] | None) -> bool:
    statements = list(_effective(body or ()))
    return bool(statements) and not any(isinstance(statement, ast.Raise) for statement in statements)


def _effective(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield what is neither text, `...`, `pass`, nor the end of the function."""
    for statement in body:
        constant = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        if isinstance(statement, ast.Return) and (
            statement.value is None or isinstance(statement.value, ast.Constant)
        ):
            return
        if not constant and not isinstance(statement, ast.Pass):
            yield statement


def _parents(script: Script) -> tuple[str, ...]:
    down: str | Sequence[str] | None = script.down_revision
    return () if down is None else (down,) if isinstance(down, str) else tuple(down)
