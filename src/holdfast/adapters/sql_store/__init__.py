"""The database of what outlives runs: audit log, authenticators, intents, delegations, notices, verdicts.

Also of what is on its way: messages to chats, updates from them, and who covers for whom.
"""

from holdfast.adapters.sql_store.audit import SqlAuditLog
from holdfast.adapters.sql_store.campaigns import SqlCampaigns
from holdfast.adapters.sql_store.database import Database
from holdfast.adapters.sql_store.delegations import SqlDelegations
from holdfast.adapters.sql_store.duty import SqlDutyBook
from holdfast.adapters.sql_store.inbox import SqlInbox
from holdfast.adapters.sql_store.intents import SqlIntents
from holdfast.adapters.sql_store.load_log import SqlLoadLog
from holdfast.adapters.sql_store.migrating import upgrade
from holdfast.adapters.sql_store.notices import SqlNoticeBook
from holdfast.adapters.sql_store.outbox import SqlOutbox
from holdfast.adapters.sql_store.second_factor import SqlSecondFactor
from holdfast.adapters.sql_store.verdicts import SqlVerdicts
from holdfast.domain.proofs import Keyring
from holdfast.outbox.store import OutboxStore
from holdfast.ports.audit import AuditLog
from holdfast.ports.campaigns import CampaignLog
from holdfast.ports.delegations import StandingDelegations
from holdfast.ports.duty import DutyBook
from holdfast.ports.identity import Intents, SecondFactor
from holdfast.ports.inbox import Inbox
from holdfast.ports.load import LoadLog
from holdfast.ports.notices import NoticeBook
from holdfast.ports.verdicts import VerdictLog

__all__ = ["SqlStore"]


class SqlStore:
    """One database, SQLite or PostgreSQL, that several processes share."""

    def __init__(self, url: str, keyring: Keyring) -> None:
        """Prepare for the database at this address; nothing is opened yet.

        Args:
            url: `sqlite:////absolute/path.db` or `postgresql+psycopg://user:password@host/name`.
            keyring: encrypts the secrets of authenticator apps.

        Raises:
            InvalidInput: the address cannot be read, or is of another kind of database.
        """
        self._database = Database(url)
        self.audit: AuditLog = SqlAuditLog(self._database)
        self.second_factor: SecondFactor = SqlSecondFactor(self._database, keyring)
        self.intents: Intents = SqlIntents(self._database)
        self.delegations: StandingDelegations = SqlDelegations(self._database)
        self.notices: NoticeBook = SqlNoticeBook(self._database)
        self.verdicts: VerdictLog = SqlVerdicts(self._database)
        self.outbox: OutboxStore = SqlOutbox(self._database, keyring)
        self.inbox: Inbox = SqlInbox(self._database)
        self.duty: DutyBook = SqlDutyBook(self._database)
        self.campaigns: CampaignLog = SqlCampaigns(self._database)
        self.load_log: LoadLog = SqlLoadLog(self._database)

    async def migrate(self) -> None:
        """Create the tables, or bring them up to date; any number of processes may do so at once.

        Raises:
            Unavailable: the database does not answer, or does not let us.
        """
        await upgrade(self._database)

    async def close(self) -> None:
        """Close all connections."""
        await self._database.close()
