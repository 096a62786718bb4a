"""The files in `deploy/ci` and the page about them: valid for their systems, and true about ours."""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from cyclopts import App

from holdfast.apps.cli import CliDeps, build_app
from holdfast.apps.cli.gate_following import GateExit
from holdfast.apps.cli.moments import span_typed
from holdfast.runbook.systems import GitHubSystem, GitHubVersion, GitLabVersion, JenkinsSystem
from tests.cli.conftest import NO_CAMPAIGNS, NO_DUTY, NO_OUTBOX, NO_PLAN, NO_RECORDS, NO_VERDICTS, not_asked_for

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "deploy/ci"
PAGE = ROOT / "docs/pipelines.md"
GITHUB = ["github-workflow.yml", "driven-deploy.yml", "driven-rollback.yml"]
GITLAB = ["gitlab-ci.yml", "driven-gitlab-ci.yml"]
JENKINS = ["Jenkinsfile", "driven.Jenkinsfile"]
ROLLOUTS = ["Jenkinsfile", "gitlab-ci.yml", "github-workflow.yml"]
PARTS = ("canary", "stable", "all")


def text(name: str) -> str:
    return (EXAMPLES / name).read_text()


def read(name: str) -> dict[Any, Any]:
    return yaml.safe_load(text(name))


def test_every_example_is_checked_here_and_named_in_the_page():
    names = {path.name for path in EXAMPLES.iterdir()}

    assert names == {*GITHUB, *GITLAB, *JENKINS}
    assert [name for name in names if f"(../deploy/ci/{name})" not in PAGE.read_text()] == []


# --- the systems' own rules ---------------------------------------------------------------------------------


def schema_says(path: Path, system: str) -> tuple[int, str]:
    transform = ["--data-transform", "gitlab-ci"] if system == "gitlab-ci" else []
    command = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        f"vendor.{system}",
        *transform,
        path,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "system"), [*((n, "github-workflows") for n in GITHUB), *((n, "gitlab-ci") for n in GITLAB)]
)
def test_yaml_examples_are_valid_by_the_systems_schema(name, system, tmp_path):
    broken = tmp_path / name
    mistake = "\nbroken-job:\n  script: 7\n" if system == "gitlab-ci" else "\nbroken-key: 7\n"
    broken.write_text(text(name) + mistake)

    assert schema_says(EXAMPLES / name, system) == (0, "ok -- validation done\n")
    assert schema_says(broken, system)[0] == 1


@pytest.mark.skipif(
    shutil.which("actionlint") is None, reason="actionlint is not installed; see docs/pipelines.md"
)
def test_github_workflows_pass_actionlint(tmp_path):
    directory = tmp_path / ".github/workflows"
    directory.mkdir(parents=True)
    for name in GITHUB:
        shutil.copy(EXAMPLES / name, directory)

    done = subprocess.run(["actionlint", *directory.iterdir()], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (0, "")


@dataclass
class Block:
    """A block of a Jenkinsfile: its name, the first word of each statement in it, and the blocks among them."""

    name: str
    words: list[str] = field(default_factory=list)
    blocks: list["Block"] = field(default_factory=list)

    def all(self) -> Iterator["Block"]:
        yield self
        for block in self.blocks:
            yield from block.all()


# https://www.jenkins.io/doc/book/pipeline/syntax/: what may stand where in a declarative pipeline.
WORK = {"steps", "stages", "parallel", "matrix"}
MAY_HOLD = {
    "pipeline": {
        "agent",
        "environment",
        "libraries",
        "options",
        "parameters",
        "post",
        "stages",
        "tools",
        "triggers",
    },
    "stage": {"agent", "environment", "failFast", "input", "options", "post", "tools", "when", *WORK},
    "stages": {"stage"},
    "post": {
        *("aborted", "always", "changed", "cleanup", "failure", "fixed", "regression", "success"),
        *("unstable", "unsuccessful"),
    },
    "parameters": {"booleanParam", "choice", "password", "string", "text"},
}
LITERALS = r"""'''.*?'''|\"\"\".*?\"\"\"|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|//[^\n]*|/\*.*?\*/"""


def parse_jenkinsfile(source: str) -> Block:
    """Read blocks and statements; strings and comments are put aside first."""
    bare = re.sub(LITERALS, lambda m: "" if m[0][0] == "/" else "''", source, flags=re.DOTALL)
    bare = re.sub(r"\([^(){}]*\)", "()", re.sub(r"\([^(){}]*\)", "()", bare))
    root = Block("file")
    stack = [root]
    for head, mark in re.findall(r"([^{}\n]*)([{}\n])", bare):
        word = re.match(r"\s*(?:def\s+)?(\w+)", head)
        if word:
            stack[-1].words.append(word[1])
        if mark == "{":
            assert word, f"a block without a name in {stack[-1].name}"
            stack[-1].blocks.append(Block(word[1]))
            stack.append(stack[-1].blocks[-1])
        elif mark == "}":
            assert len(stack) > 1, "a brace too many"
            stack.pop()
    assert stack == [root], f"{stack[-1].name} is not closed"
    return root


def problems(file: Block) -> list[str]:
    pipelines = [block for block in file.blocks if block.name == "pipeline"]
    if len(pipelines) != 1:
        return ["there has to be one pipeline"]
    found = [f"pipeline without {word}" for word in ("agent", "stages") if word not in pipelines[0].words]
    for block in pipelines[0].all():
        found += [
            f"{word} in {block.name}" for word in block.words if word not in MAY_HOLD.get(block.name, {word})
        ]
        if block.name == "stage" and len(WORK.intersection(block.words)) != 1:
            found.append(f"a stage needs one of {sorted(WORK)}")
    return found


@pytest.mark.parametrize("name", JENKINS)
def test_jenkinsfiles_have_the_sections_that_the_declarative_syntax_allows(name):
    assert problems(parse_jenkinsfile(text(name))) == []


@pytest.mark.parametrize(
    ("was", "becomes", "problem"),
    [
        ("    agent none\n", "", "pipeline without agent"),
        ("        stage('Rollout') {", "        stag('Rollout') {", "stag in stages"),
        ("    post {\n        aborted", "    post {\n        canceled", "canceled in post"),
        ("            when {", "            whenever {", "whenever in stage"),
        ("    options {", "    option {", "option in pipeline"),
    ],
)
def test_a_jenkinsfile_with_a_mistake_would_be_noticed(was, becomes, problem):
    assert was in text("Jenkinsfile")

    assert problem in problems(parse_jenkinsfile(text("Jenkinsfile").replace(was, becomes)))


# --- what the examples say to Holdfast ----------------------------------------------------------------------


def holdfast_lines(path: Path) -> list[str]:
    """Every command line with `holdfast`; comments are not commands, prose puts them between backticks."""
    if path.suffix == ".md":
        fenced = re.findall(r"^(holdfast [a-z][^\n]*)", path.read_text(), flags=re.MULTILINE)
        return fenced + re.findall(r"`(holdfast [a-z][^`\n]*)`", path.read_text())
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith(("#", "//"))]
    return re.findall(r"(?<![\w`-])(holdfast [a-z][^'`;|&#\n]*)", "\n".join(lines))


@pytest.fixture(scope="module")
def app() -> App:
    return build_app(
        CliDeps(
            library=not_asked_for,
            run_control=not_asked_for,
            ui_url=str,
            start_worker=not_asked_for,
            start_bot=not_asked_for,
            start_web=not_asked_for,
            records=NO_RECORDS,
            verdicts=NO_VERDICTS,
            plan=NO_PLAN,
            duty=NO_DUTY,
            outbox=NO_OUTBOX,
            **NO_CAMPAIGNS,
        )
    )


@pytest.mark.parametrize("path", [*(EXAMPLES / name for name in ROLLOUTS), PAGE], ids=lambda p: p.name)
def test_every_holdfast_line_is_one_that_the_command_takes(path, app):
    lines = holdfast_lines(path)

    assert len(lines) >= 3
    for line in lines:
        tokens = shlex.split(line)[1:]
        commands, _apps, rest = app.parse_commands(tokens)
        assert commands, line
        if rest:  # else it only names the command
            app.parse_args(tokens, exit_on_error=False, print_error=False)
        if "--wait" in tokens:
            assert span_typed("--wait", tokens[tokens.index("--wait") + 1]) > timedelta(0)


@pytest.mark.parametrize("name", ROLLOUTS)
def test_rollouts_test_first_then_roll_out_and_attach_by_the_same_command(name):
    checks = [line for line in holdfast_lines(EXAMPLES / name) if "gate-check" in line]

    assert any("--check-only" in line for line in checks)
    follow = {line.strip() for line in checks if "--check-only" not in line}
    assert len(follow) == 1, "attaching by the key needs the same command"
    assert "holdfast validate --all" in text(name)


def test_jobs_outlast_the_wait_of_their_command():
    gitlab, github = read("gitlab-ci.yml"), read("github-workflow.yml")
    wait = timedelta(minutes=45)

    assert all("--wait 45m" in text(name) for name in ROLLOUTS)
    assert span_typed("timeout", gitlab[".gate-check"]["timeout"]) > wait
    assert all(
        timedelta(minutes=github["jobs"][job]["timeout-minutes"]) > wait for job in ("rollout", "review")
    )


def test_a_rollout_that_goes_on_is_told_from_one_that_failed():
    code = int(GateExit.GOES_ON)

    assert read("gitlab-ci.yml")["rollout"]["allow_failure"] == {"exit_codes": [code]}
    assert read("gitlab-ci.yml")["attach-again"]["allow_failure"] is False
    assert f'if [ "$code" -ne {code} ]; then exit "$code"; fi' in text("github-workflow.yml")
    assert read("github-workflow.yml")["jobs"]["review"]["if"] == f"needs.rollout.outputs.code == '{code}'"
    assert f"while (env.GATE == '{code}')" in text("Jenkinsfile")
    assert f"environment name: 'GATE', value: '{code}'" in text("Jenkinsfile")


def test_one_rollout_runs_at_a_time_and_none_is_cancelled_for_another():
    gitlab, github = read("gitlab-ci.yml"), read("github-workflow.yml")

    assert gitlab[".gate-check"]["resource_group"]
    assert gitlab["default"]["interruptible"] is False
    assert github["concurrency"]["cancel-in-progress"] is False
    assert "disableConcurrentBuilds()" in text("Jenkinsfile")


@pytest.mark.parametrize("name", [*GITHUB, *JENKINS])
def test_no_input_is_put_into_a_line_of_the_shell(name):
    scripts = (
        [step["run"] for job in read(name)["jobs"].values() for step in job["steps"] if "run" in step]
        if name in GITHUB
        else re.findall(r"(?:sh|script:) (\"[^\n]*)", text(name))
    )

    assert [script for script in scripts if "${" in script] == []


# --- pipelines that a runbook drives ------------------------------------------------------------------------


def test_the_driven_gitlab_pipeline_has_the_jobs_whose_artefacts_are_read():
    pipeline, version = read("driven-gitlab-ci.yml"), GitLabVersion()

    assert pipeline["workflow"]["rules"] == [{"if": "$HOLDFAST_KEY"}]
    for template in version.jobs:
        action = template.partition("-")[0]
        for part in PARTS:
            job = pipeline[template.format(part=part)]
            assert job["rules"] == [{"if": f'$HOLDFAST_ACTION == "{action}" && $HOLDFAST_PART == "{part}"'}]
            base = pipeline[job["extends"]]
            assert base["artifacts"]["paths"] == [version.artifact]
            assert base["script"][-1] == f"printf '%s' \"$HOLDFAST_VERSION\" > {version.artifact}"


@pytest.mark.parametrize("action", ["deploy", "rollback"])
def test_the_driven_github_workflows_take_and_leave_what_holdfast_gives_and_reads(action):
    assert GitHubSystem.model_fields[action].default == f"{action}.yml"
    workflow, version = read(f"driven-{action}.yml"), GitHubVersion()
    inputs = workflow[True]["workflow_dispatch"]["inputs"]  # YAML 1.1 reads the word `on` as true
    (upload,) = (step["with"] for step in workflow["jobs"][action]["steps"] if "upload" in step.get("uses", ""))

    assert set(inputs) == {"part", "version", "holdfast_key"}
    assert tuple(inputs["part"]["options"]) == PARTS
    assert workflow["run-name"] == (
        f"{action} ${{{{ inputs.part }}}} ${{{{ inputs.version }}}} ${{{{ inputs.holdfast_key }}}}"
    )
    assert upload["name"] == version.artifact.format(part="${{ inputs.part }}")
    assert upload["path"] == version.file


def test_the_driven_jenkins_job_takes_and_leaves_what_holdfast_gives_and_reads():
    source, artefact = text("driven.Jenkinsfile"), JenkinsSystem.model_fields["artifact"].default

    assert re.findall(r"(?:choice|string)\(name: '(\w+)'", source) == ["PART", "VERSION", "HOLDFAST_KEY"]
    assert f"choices: {list(PARTS)}" in source
    assert f"archiveArtifacts artifacts: '{artefact}'" in source
    assert f"sh 'printf %s \"$VERSION\" > {artefact}'" in source


def test_the_links_of_the_page_lead_somewhere():
    links = re.findall(r"\]\(([^)#]+)", PAGE.read_text())

    assert len(links) > 5
    assert [link for link in links if not (PAGE.parent / link).exists()] == []
