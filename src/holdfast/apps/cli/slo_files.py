"""Writes the files that are made from a campaign's SLOs, and lets the tools of Prometheus check them."""

import asyncio
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from holdfast.apps.cli.output import Output, complain
from holdfast.domain.errors import InvalidInput
from holdfast.slo.alertmanager import alertmanager_config
from holdfast.slo.rule_tests import rule_tests
from holdfast.slo.rules import RuleSource, prometheus_rules

_TOOL_SECONDS: Final = 120


@dataclass(frozen=True)
class RuleFiles:
    """Where the files are."""

    rules: Path
    alertmanager: Path
    tests: Path

    @property
    def all(self) -> tuple[Path, ...]:
        """All of them."""
        return self.rules, self.alertmanager, self.tests


def write_files(source: RuleSource, directory: Path, *, receiver: str) -> RuleFiles:
    """Write the three files, and return where they are.

    Raises:
        InvalidInput: one cannot be written.
    """
    files = RuleFiles(
        *(directory / f"{source.campaign}.{what}.yaml" for what in ("rules", "alertmanager", "tests"))
    )
    texts = {
        files.rules: prometheus_rules(source),
        files.alertmanager: alertmanager_config(source, receiver=receiver),
        files.tests: rule_tests(source, rules_file=files.rules.name),
    }
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for path, text in texts.items():
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"--output: {directory} cannot be written to: {error.strerror}") from None
    return files


async def check_files(files: RuleFiles, out: Output) -> bool:
    """Let promtool and amtool check the files, and say what they found.

    Returns:
        Whether promtool is there and found nothing wrong, and amtool nothing either where it is there.
    """
    promtool, amtool = shutil.which("promtool"), shutil.which("amtool")
    if promtool is None:
        complain("not checked: promtool is not on this machine; Debian's package prometheus brings it")
        good = False
    else:
        good = await _passes(out, promtool, "check", "rules", str(files.rules))
        good = await _passes(out, promtool, "test", "rules", str(files.tests)) and good
    if amtool is None:
        out.say("amtool is not on this machine, so the Alertmanager route was not checked")
        return good
    return await _passes(out, amtool, "check-config", str(files.alertmanager)) and good


async def _passes(out: Output, tool: str, *arguments: str) -> bool:
    process = await asyncio.create_subprocess_exec(
        tool, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    name = f"{Path(tool).name} {' '.join(arguments)}"
    try:
        async with asyncio.timeout(_TOOL_SECONDS):
            said, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        complain(f"{name}: no answer within {_TOOL_SECONDS} s")
        return False
    if process.returncode:
        complain(f"{name}:\n{said.decode(errors='replace').strip()}")
        return False
    out.say(f"{name}: ok")
    return True
