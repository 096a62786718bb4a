"""Reads folders of past canary releases; the format is in docs/backtest.md."""

from holdfast.adapters.releases.reader import read_releases

__all__ = ["read_releases"]
