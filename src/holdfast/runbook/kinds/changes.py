"""What a stage may change, one model a kind: settings, what a pipeline deploys, a database's schema, a command.

A change with two sides is made on the canary first and for everybody when the stage is promoted. A change
without sides is made once: `before` the canary gets traffic, or `after` the promotion. Where nothing of a stage
has sides there is neither: everybody gets all of it in the file's order, and then everybody is watched.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from holdfast.domain.signoff import SignOff
from holdfast.domain.strict import Duration, Strict

SystemName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
Turn = Literal["before", "after"]


class HttpConfigChange(Strict):
    """Settings of a system with a versioned configuration API; applied to the canary side, then to all."""

    kind: Literal["http_config"]
    set: dict[str, Any] = Field(min_length=1)


class PipelineChange(Strict):
    """A version of an artefact that a CI system deploys: GitLab pipeline, GitHub workflow, Jenkins job.

    Attributes:
        system: name of the pipeline in `systems.yaml`.
        version: what the artefact has to be afterwards; goes along as a parameter.
        parameters: more parameters of the pipeline, as it knows them.
        sides: whether the pipeline deploys to canary and stable one by one, or to everything at once.
        when: its turn, where it has no sides.
        apply_for: how long the pipeline may take, its waiting in the queue included.
    """

    kind: Literal["gitlab", "github", "jenkins"]
    system: SystemName
    version: str = Field(min_length=1, max_length=100)
    parameters: dict[str, str] = Field(default_factory=dict)
    sides: Literal["canary-and-stable", "all"] = "canary-and-stable"
    when: Turn = "before"
    apply_for: Duration | None = None


class AlembicChange(Strict):
    """A revision of a database's schema; migrated in one transaction, after a dry run on a copy of the schema.

    Attributes:
        system: name of the database in `systems.yaml`.
        revision: where the schema has to be afterwards: a revision of the scripts, not `head`.
        when: before the canary for what both versions can live with (expand), after for the rest (contract).
        point_of_no_return: who signs off a step that cannot be undone; such a revision needs no downgrade.
        apply_for: how long the migration may take.
    """

    kind: Literal["alembic"]
    system: SystemName
    revision: str = Field(pattern=r"^[A-Za-z0-9_]{1,64}$")
    when: Turn = "before"
    point_of_no_return: SignOff | None = None
    apply_for: Duration | None = None


class CommandChange(Strict):
    """A reviewed command of `systems.yaml`, with its way back.

    Attributes:
        system: name of the command in `systems.yaml`.
        when: its turn.
    """

    kind: Literal["command"]
    system: SystemName
    when: Turn = "before"


Change = Annotated[
    HttpConfigChange | PipelineChange | AlembicChange | CommandChange, Field(discriminator="kind")
]
