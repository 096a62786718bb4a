"""The part of `holdfast worker` that tells people and keeps the record; loaded when runs are served already."""

from collections.abc import Callable, Sequence
from typing import NoReturn

import structlog
from temporalio.client import Client

from activities.announcing import AnnouncingActivities
from activities.calling import CallingActivities
from activities.errands import ErrandActivities
from activities.guard import Guard
from activities.paging import PagingActivities
from activities.signing import RecordActivities
from holdfast.adapters.sql_store import SqlStore
from holdfast.adapters.telegram import QueuedSending, TelegramAnnouncer, TelegramPrivate
from holdfast.domain.proofs import Keyring
from holdfast.ports.notices import PrivateChannel
from workers import channels, sending, storing, telegram, wiring
from workers.campaigns import campaign_activities
from workers.queues import chat_worker, record_worker
from workers.refusals import keep_refusals
from workers.settings import Settings

log = structlog.get_logger()


async def serve(
    settings: Settings,
    client: Client,
    keyring: Keyring,
    guard: Guard,
    *,
    lend: Callable[[SqlStore], None],
) -> NoReturn:
    """Call people and keep the record until cancelled; `lend` is told where verdicts and figures are kept."""
    async with storing.store(settings, keyring, patiently=True) as store:
        lend(store)
        # The bot sends what is put in line here, so that a token has one sender.
        outbox = sending.outbox(settings, store.outbox) if settings.telegram_token else None
        reached = channels.private(settings, outbox)
        calling = _calling(settings, store, reached, keyring, queued=outbox is not None)
        paging = _paging(settings, store, reached, keyring)
        records = RecordActivities(audit=store.audit, delegations=store.delegations)
        chat = telegram.chat(settings, outbox) if outbox else None
        announcer = TelegramAnnouncer(QueuedSending(outbox, patience=sending.PATIENCE)) if outbox else None
        telling = chat_worker(
            client,
            chat,
            calling,
            run_url=settings.run_url,
            paging=paging,
            errands=ErrandActivities(reached, store.audit, keyring=keyring, run_url=settings.run_url),
            announcing=AnnouncingActivities(announcer),
        )
        looking_back = campaign_activities(settings, store, wiring.runs(settings), announcer)
        async with record_worker(client, records, looking_back), telling:
            log.info("worker ready", server=settings.temporal_address)
            await keep_refusals(guard, store.audit)


def _calling(
    settings: Settings,
    store: SqlStore,
    reached: Sequence[PrivateChannel],
    keyring: Keyring,
    *,
    queued: bool,
) -> CallingActivities:
    return CallingActivities(
        reached,
        store.notices,
        store.audit,
        keyring=keyring,
        run_url=settings.run_url,
        link_for=storing.link_for(settings, keyring),
        # The outbox sends what it is given under one key once, so a dead worker's notice may be given again.
        once_by_key=(TelegramPrivate.name,) if queued else (),
    )


def _paging(
    settings: Settings, store: SqlStore, reached: Sequence[PrivateChannel], keyring: Keyring
) -> PagingActivities:
    return PagingActivities(
        wiring.library(settings),
        store.duty,
        reached,
        store.audit,
        keyring=keyring,
        run_url=settings.run_url,
    )
