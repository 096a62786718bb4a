"""The report on a campaign, made from what the store keeps."""

from typing import Any, Protocol

from pydantic import BaseModel, Field


class CampaignReport(BaseModel):
    """A finished report.

    Attributes:
        summary: the campaign in a few sentences, in the report's language.
        html: one file that needs nothing else.
        png: a picture of it for a chat, 1080 pixels wide.
        analysis: the figures as JSON.
    """

    run: str
    campaign: str
    title: str
    language: str
    summary: list[str] = Field(default_factory=list[str])
    html: str
    png: bytes = Field(repr=False)
    analysis: dict[str, Any] = Field(default_factory=dict[str, Any], repr=False)


class Reports(Protocol):
    """Makes reports."""

    async def build(self, run: str, *, language: str = "en") -> CampaignReport:
        """Make the report on one run of a campaign from the store alone.

        Raises:
            UnknownName: nothing is kept of such a run.
            Unavailable: the store does not answer.
        """
        ...
