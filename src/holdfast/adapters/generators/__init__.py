"""Load generators as processes of this machine: `python -m holdfast.loadgen`."""

from holdfast.adapters.generators.processes import ProcessGenerators

__all__ = ["ProcessGenerators"]
