from holdfast.adapters.http_config.providers import CanaryShareProvider, HttpConfigProvider

__all__ = ["CanaryShareProvider", "HttpConfigProvider"]
