"""Pictures of what a gate rests on."""

from holdfast.adapters.charts.gate import gate_chart

__all__ = ["gate_chart"]
