"""`systems.yaml`: the systems that runbooks may change, by name; reviewed like the runbooks.

It says where a system is and how it is spoken to. It never holds a secret, only where the worker finds it.
"""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, HttpUrl, model_validator

from holdfast.domain.strict import Duration, Strict
from holdfast.runbook.kinds.changes import SystemName


class Secret(Strict):
    """Where the worker finds a secret; read anew at each use, so that it can change under a running worker.

    Attributes:
        file: a file with nothing else in it, such as a Docker or Kubernetes secret.
        env: an environment variable of the worker.
    """

    # Tokens are renewed on a schedule that no run of ninety days waits for (docs/decisions/0012).
    file: Path | None = None
    env: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")

    @model_validator(mode="after")
    def _is_in_one_place(self) -> Self:
        if (self.file is None) == (self.env is None):
            raise ValueError("a secret is in a 'file' or in a variable ('env'): give one of both")
        return self


class HttpConfigSystem(Strict):
    """A system with a versioned configuration API, and a gateway that shares traffic between its sides.

    Attributes:
        url: base address; `/config` is below it.
        token: goes along as `Authorization: Bearer …`.
    """

    kind: Literal["http_config"]
    url: HttpUrl
    token: Secret | None = None


class _Pipeline(Strict):
    """What all CI systems have in common.

    Attributes:
        url: base address of the CI system's API.
        token: the worker's access.
        poll: how often a run is looked at.
        visible_within: how long a run that was started may stay invisible in the system's lists. A start whose
            answer got lost is looked for this long before it is started again.
    """

    url: HttpUrl
    token: Secret
    poll: Duration = timedelta(seconds=5)
    visible_within: Duration = timedelta(seconds=30)


class GitLabVersion(Strict):
    """Where a GitLab pipeline leaves the version that it has deployed.

    Attributes:
        jobs: names of the jobs with the artefact; `{part}` stands for `canary`, `stable` or `all`.
        artifact: path of the file in the job's artefacts; `{part}` likewise. It holds the version only.
    """

    jobs: tuple[str, ...] = Field(default=("deploy-{part}", "rollback-{part}"), min_length=1)
    artifact: str = "version.txt"


class GitLabSystem(_Pipeline):
    """A GitLab project whose pipelines deploy. Runs are started with variables.

    The variables are `HOLDFAST_ACTION` (`deploy` or `rollback`), `HOLDFAST_PART`, `HOLDFAST_VERSION` and
    `HOLDFAST_KEY`, and those of the runbook.

    Attributes:
        project: its path (`shop/bot`) or number.
        ref: the branch or tag on which pipelines run.
    """

    kind: Literal["gitlab"]
    project: str = Field(min_length=1)
    ref: str = "main"
    version: GitLabVersion = GitLabVersion()


class GitHubVersion(Strict):
    """Where a GitHub workflow leaves the version that it has deployed.

    Attributes:
        artifact: name of the uploaded artefact; `{part}` stands for `canary`, `stable` or `all`.
        file: the file in it; it holds the version and nothing else.
    """

    artifact: str = "version-{part}"
    file: str = "version.txt"


class GitHubSystem(_Pipeline):
    """A GitHub repository whose workflows deploy and roll back; both are started by `workflow_dispatch`.

    Their inputs are `part`, `version` and `holdfast_key`, and those of the runbook. `run-name` has to contain
    the key: `run-name: deploy ${{ inputs.holdfast_key }}`, because that is how a run is found again.

    Attributes:
        repository: `owner/name`.
        ref: the branch or tag on which workflows run.
        deploy, rollback: file names of the workflows.
    """

    kind: Literal["github"]
    url: HttpUrl = HttpUrl("https://api.github.com")
    repository: str = Field(pattern=r"^[\w.-]+/[\w.-]+$")
    ref: str = "main"
    deploy: str = "deploy.yml"
    rollback: str = "rollback.yml"
    version: GitHubVersion = GitHubVersion()


class JenkinsSystem(_Pipeline):
    """Jenkins jobs that deploy and roll back.

    Their parameters are `PART`, `VERSION` and `HOLDFAST_KEY`, and those of the runbook.

    Attributes:
        user: to whom the API token belongs.
        deploy, rollback: the jobs, with their folders: `shop/deploy`.
        artifact: path of the archived file that holds the version and nothing else.
    """

    kind: Literal["jenkins"]
    user: str = Field(min_length=1)
    deploy: str = Field(min_length=1)
    rollback: str = Field(min_length=1)
    artifact: str = "version.txt"


class AlembicSystem(Strict):
    """A database whose schema is kept by Alembic's revision scripts.

    Attributes:
        url: SQLAlchemy's address of the database, password included; hence a secret.
        scripts: directory with the `versions` folder; beside `systems.yaml` if relative.
        dry_run_url: an empty database on which the schema's copy is tried, for PostgreSQL; without it one is
            made beside the real one for the moment, which needs the right to make databases.
        version_table: where Alembic keeps the revision.
        lock_timeout: how long a migration waits for others to let go of a table; then it gives up and is tried
            again, so that customers do not queue behind it.
    """

    kind: Literal["alembic"]
    url: Secret
    scripts: Path
    dry_run_url: Secret | None = None
    version_table: str = "alembic_version"
    lock_timeout: Duration = timedelta(seconds=5)


class CommandSystem(Strict):
    """A command on the worker's machine. The program gets its arguments as they are; there is no shell.

    Attributes:
        run: makes the change.
        revert: takes it back. The state before is in the variable `HOLDFAST_BEFORE`.
        state: prints in one line what is so; changes nothing.
        done: what `state` prints when `run` has worked.
        time_limit: how long each of them may take.
        directory: where they run; the directory of `systems.yaml` if not given.
        environment: variables that they get besides `PATH`, `HOME`, `LANG` and `HOLDFAST_KEY`.
        secrets: variables that hold secrets.
    """

    kind: Literal["command"]
    # Here and not in the runbook, whose author should not be able to bring a command along: whoever edits this
    # can run anything as the worker (docs/decisions/0012).
    run: tuple[str, ...] = Field(min_length=1)
    revert: tuple[str, ...] = Field(min_length=1)
    state: tuple[str, ...] = Field(min_length=1)
    done: str = Field(min_length=1)
    time_limit: Duration = timedelta(minutes=2)
    directory: Path | None = None
    environment: dict[str, str] = Field(default_factory=dict)
    secrets: dict[str, Secret] = Field(default_factory=dict)


System = Annotated[
    HttpConfigSystem | GitLabSystem | GitHubSystem | JenkinsSystem | AlembicSystem | CommandSystem,
    Field(discriminator="kind"),
]


class Systems(Strict):
    """Every system that runbooks may change.

    Attributes:
        systems: by the name that runbooks use.
    """

    systems: dict[SystemName, System] = Field(default_factory=dict)

    def beside(self, directory: Path) -> "Systems":
        """Return the same with relative directories and secret files read from this directory."""
        return Systems(systems={name: _placed(system, directory) for name, system in self.systems.items()})


def _placed(system: System, directory: Path) -> System:
    """Resolve the paths of one system."""
    changed: dict[str, object] = {}
    if isinstance(system, AlembicSystem):
        changed["scripts"] = directory / system.scripts
    if isinstance(system, CommandSystem):
        changed["directory"] = directory / (system.directory or "")
        changed["secrets"] = {name: _secret(secret, directory) for name, secret in system.secrets.items()}
    for field in ("token", "url", "dry_run_url"):
        value = getattr(system, field, None)
        if isinstance(value, Secret):
            changed[field] = _secret(value, directory)
    return system.model_copy(update=changed)


def _secret(secret: Secret, directory: Path) -> Secret:
    return secret if secret.file is None else Secret(file=directory / secret.file)
