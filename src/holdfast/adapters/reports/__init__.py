"""Post-campaign analysis: figures, report, message inventory."""

from holdfast.adapters.reports.building import CampaignReports, build_report

__all__ = ["CampaignReports", "build_report"]
