"""Pictures of what a gate rests on."""

from holdfast.adapters.charts.gate import gate_chart
from holdfast.adapters.charts.verdict import verdict_chart

__all__ = ["gate_chart", "verdict_chart"]
