"""Everything an operator sets, from `HOLDFAST_…` environment variables or a `.env` file."""

from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

# Registered at the server before the first run; the run list in the Temporal UI filters by them.
SEARCH_ATTRIBUTES = {
    "HoldfastState": "Keyword",
    "HoldfastRunbook": "Keyword",
    "HoldfastWaitsFor": "KeywordList",
}


class Settings(BaseSettings):
    """One per process; a wrong value fails at start and names the variable.

    Attributes:
        temporal_address: host and port of the Temporal server's frontend.
        temporal_token: what Holdfast shows to a server that asks who it is, as `Authorization: Bearer …`.
        temporal_ui_url: where people open the Temporal UI; put into messages.
        runbook_dirs: directories with `people.yaml` and one folder a runbook kind; the first hit counts.
        default_runbook: what `/rollout` alone starts.
        default_pace: the pace of runs that are started without naming one.
        endpoints: base URL of each system that runbooks may change, by its name in the runbooks.
        prometheus_url: where the metrics are.
        telegram_token: of the bot; without it runs have no chat and `holdfast bot` refuses to start.
        telegram_chat: id of the chat where runs show themselves.
        telegram_api: base URL of the Bot API, for a proxy or an own server; empty is Telegram's.
        language: what Holdfast speaks in that chat, `en` or `ru`; each person's own is in `people.yaml`.
        time_zone: whose clock times are told on in that chat.
        webhook_url: where Telegram reaches `holdfast bot`, `https://…/telegram`; empty: the bot asks itself.
        webhook_secret: what Telegram shows with each update; 1 to 256 of A-Z a-z 0-9 _ -; needed with a URL.
        webhook_host, webhook_port: where the bot listens.
        webhook_proxy: address of the one proxy whose `X-Forwarded-For` is believed; empty for none.
        webhook_networks: from where updates are taken; Telegram's own where not set.
        secret_key: signs approval codes and encrypts authenticator secrets; several, newest first, separated by
            commas. Without one a key is made once and kept in `state_dir`.
        state_dir: where this machine keeps what it has to keep: the key, and the database if that is SQLite.
        database_url: where the audit log, enrolments and notices are; empty is SQLite in `state_dir`. For
            PostgreSQL `postgresql+psycopg://user:password@host/name`.
        web_url: where people reach `holdfast web`, for the links in e-mails; empty for no links.
        web_port: where `holdfast web` listens.
        email_url: how e-mails are sent, as Apprise writes it: `mailtos://user:password@smtp.example.com?from=…`.
        message_logs: structured logs of the client's messages, for the inventory; file names, `*` allowed.
        metrics_port: where this process serves its own metrics; 0 for none.
    """

    model_config = SettingsConfigDict(env_prefix="HOLDFAST_", env_file=".env", extra="ignore")

    temporal_address: str = "127.0.0.1:7233"
    temporal_namespace: str = "default"
    temporal_token: SecretStr | None = None
    temporal_ui_url: str = "http://127.0.0.1:8233"
    runbook_dirs: tuple[Path, ...] = (Path("runbooks"),)
    default_runbook: str = "support-surge"
    default_pace: str = "default"
    endpoints: dict[str, str] = Field(default_factory=dict[str, str])
    prometheus_url: str = "http://127.0.0.1:9090"
    telegram_token: SecretStr | None = None
    telegram_chat: int | None = None
    telegram_api: str = ""
    language: Literal["en", "ru"] = "en"
    time_zone: str = "UTC"
    webhook_url: str = ""
    webhook_secret: SecretStr | None = None
    webhook_host: str = "127.0.0.1"
    webhook_port: int = Field(default=8089, ge=0, le=65535)
    webhook_proxy: str = ""
    webhook_networks: tuple[str, ...] = ()
    secret_key: SecretStr | None = None
    state_dir: Path = Path("var")
    database_url: SecretStr | None = None
    web_url: str = ""
    web_port: int = Field(default=8088, ge=0, le=65535)
    web_host: str = "127.0.0.1"
    email_url: SecretStr | None = None
    message_logs: tuple[str, ...] = ()
    metrics_port: int = Field(default=0, ge=0, le=65535)

    @field_validator("time_zone")
    @classmethod
    def _time_zone_is_known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"'{name}' is no time zone; write one like Europe/Moscow") from None
        return name

    @property
    def zone(self) -> ZoneInfo:
        """The time zone of the chat."""
        return ZoneInfo(self.time_zone)

    def run_url(self, run_id: str) -> str:
        """Return the address of a run's page in the Temporal UI."""
        return f"{self.temporal_ui_url}/namespaces/{self.temporal_namespace}/workflows/{run_id}"
