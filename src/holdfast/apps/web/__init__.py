"""The web page where an approver sees what is asked, with its evidence, and answers; it needs no JavaScript."""

from holdfast.apps.web.app import build_app
from holdfast.apps.web.services import WebServices

__all__ = ["WebServices", "build_app"]
