from holdfast.adapters.prometheus.source import PrometheusMetrics

__all__ = ["PrometheusMetrics"]
