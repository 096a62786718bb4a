from holdfast.apps.cli.app import build_app, main
from holdfast.apps.cli.deps import CliDeps

__all__ = ["CliDeps", "build_app", "main"]
