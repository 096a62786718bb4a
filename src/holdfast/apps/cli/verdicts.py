from dataclasses import dataclass
from typing import Final

from cyclopts import App, Group

from holdfast.apps.cli.verdict_backtest import BacktestCommands, BacktestDeps, add_backtest
from holdfast.apps.cli.verdict_compare import CompareCommands, CompareDeps, add_comparison
from holdfast.apps.cli.verdict_correlate import CorrelateCommands, CorrelateDeps, add_correlate
from holdfast.apps.cli.verdict_explain import ExplainCommands, ExplainDeps, add_verdict

_EXAMPLES: Final = """\
Examples:
  holdfast verdict explain rollout-4f7qk2mz          why the newest verdict is what it is
  holdfast verdict backtest releases/                how good each model is on past releases
  holdfast verdict compare                           how good each was on your own rollouts
  holdfast verdict label rollout-4f7qk2mz crm-pool bad --as anna
  holdfast verdict correlate --runbook rollout/support-surge --from 2026-03-08T12:00Z --to 2026-03-08T13:00Z"""


@dataclass(frozen=True)
class VerdictDeps:
    """What the commands about verdicts work with."""

    explain: ExplainDeps
    backtest: BacktestDeps
    compare: CompareDeps
    correlate: CorrelateDeps


def add_verdicts(app: App, deps: VerdictDeps) -> None:
    """Add `verdict` to the command line."""
    group = Group("Verdicts", sort_key=3)
    verdict = add_verdict(app, ExplainCommands(deps.explain), group=group)
    verdict.help_epilogue = _EXAMPLES
    add_backtest(verdict, BacktestCommands(deps.backtest))
    add_comparison(verdict, CompareCommands(deps.compare))
    add_correlate(verdict, CorrelateCommands(deps.correlate))
