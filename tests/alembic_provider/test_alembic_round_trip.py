"""What `ports.changes` promises of a schema, on real databases."""

import pytest

from holdfast.domain.errors import ChangeConflict, ChangeFailed, InvalidInput, Unavailable, UnknownName
from holdfast.domain.journal import Write
from tests.alembic_provider.conftest import Shop, back
from tests.sql_store.conftest import Postgres


async def test_an_empty_database_is_at_no_revision(shop: Shop):
    state = await shop.read()

    assert state.values["revision"] == ""
    assert state.unsettled == ""


async def test_a_change_goes_up_down_and_in_another_run_up_again(shop: Shop):
    empty = await shop.read()

    first = await shop.migrate("0003", key="run-1/schema/shop-db")
    undone = await shop.provider.write(back(first), shop.progress)
    second = await shop.migrate("0003", key="run-2/schema/shop-db")

    assert undone == empty
    assert second.goal == first.goal == (await shop.read()).values
    assert shop.changes() == [
        ("run-1/schema/shop-db", "", "0003"),
        ("run-1/schema/shop-db/undo", "0003", ""),
        ("run-2/schema/shop-db", "", "0003"),
    ]


async def test_a_second_undo_has_a_key_of_its_own(shop: Shop):
    write = await shop.migrate("0001")
    await shop.provider.write(back(write), shop.progress)
    again = Write(effect=shop.effect("0001", key="other"), source=write.source, goal=write.goal)
    await shop.provider.write(again, shop.progress)

    await shop.provider.write(back(write, attempt=2), shop.progress)

    assert (await shop.read()).values == write.source


async def test_data_survives_the_way_up_and_down(shop: Shop):
    await shop.migrate("0002", key="a")
    shop.run(
        "INSERT INTO customers (id, name, tier) VALUES (1, 'Ada', 'gold'), (2, 'Bob', 'basic')",
        "INSERT INTO orders (id, customer, total) VALUES (1, 1, 5.5)",
    )

    write = await shop.migrate("0003", key="b")
    emails = shop.rows("SELECT name, email FROM customers ORDER BY id")
    await shop.provider.write(back(write), shop.progress)

    assert emails == [("Ada", "ada@example.org"), ("Bob", "bob@example.org")]
    assert shop.rows("SELECT id, name, tier FROM customers ORDER BY id") == [
        (1, "Ada", "gold"),
        (2, "Bob", "basic"),
    ]
    assert [customer for (customer,) in shop.rows("SELECT customer FROM totals")] == [1]


async def test_a_write_that_was_done_is_found_done(shop: Shop):
    write = await shop.migrate("0002")

    again = await shop.worker().write(write, shop.progress)

    assert again.values == write.goal
    assert len(shop.changes()) == 1


async def test_foreseeing_where_it_is_changes_nothing(shop: Shop):
    await shop.migrate("0001")
    state = await shop.read()

    assert await shop.provider.foresee(shop.effect("0001"), state) == state.values


async def test_a_failing_script_in_the_middle_leaves_nothing(shop: Shop):
    before = await shop.read()
    shop.scripts.add("0004", "op.execute('SELECT * FROM nowhere')", "op.execute('SELECT 1')")
    write = Write(effect=shop.effect("0004"), source=before.values, goal={"revision": "0004"})

    with pytest.raises(
        ChangeFailed, match=r"database 'shop-db': upgrade of revision '0004' failed .*nowhere"
    ) as raised:
        await shop.provider.write(write, shop.progress)

    assert await shop.read() == before
    assert "\n" not in str(raised.value)


async def test_a_script_that_raises_is_told_with_its_revision(shop: Shop):
    before = await shop.read()
    shop.scripts.add("0004", "raise KeyError('no such customer')", "pass")
    write = Write(effect=shop.effect("0004"), source=before.values, goal={"revision": "0004"})

    with pytest.raises(ChangeFailed, match="'0004' failed and was rolled back: KeyError: 'no such customer'"):
        await shop.provider.write(write, shop.progress)

    assert await shop.read() == before


async def test_another_revision_than_the_source_is_a_conflict_that_names_both(shop: Shop):
    write = await shop.plan("0002")
    await shop.migrate("0001", key="somebody else")

    with pytest.raises(ChangeConflict, match=r"is at revision '0001' and not at '' \(no revision yet\)"):
        await shop.provider.write(write, shop.progress)

    assert len(shop.changes()) == 1


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("DROP INDEX customers_name", r"index \S*customers_name is missing"),
        ("CREATE TABLE by_hand (id INTEGER)", r"table \S*by_hand should not be there"),
        ("ALTER TABLE customers ADD COLUMN note TEXT", r"column \S*customers.note should not be there"),
        ("DROP VIEW totals", r"view \S*totals is missing"),
    ],
)
async def test_what_was_changed_by_hand_is_named(shop: Shop, statement: str, words: str):
    await shop.migrate("0002", key="first")
    write = await shop.plan("0003", key="second")
    shop.run(statement)
    found = await shop.read()

    with pytest.raises(ChangeConflict, match=words):
        await shop.provider.write(write, shop.progress)

    assert await shop.read() == found


async def test_a_worker_that_never_saw_the_schema_tells_both_fingerprints(shop: Shop):
    write = await shop.migrate("0002", key="first")
    shop.run("DROP INDEX customers_name")
    found = (await shop.read()).values["fingerprint"]

    with pytest.raises(ChangeConflict, match=f"is {found} instead of {write.goal['fingerprint']}"):
        await shop.worker().write(back(write), shop.progress)


async def test_a_schema_that_becomes_another_than_foreseen_is_rolled_back(shop: Shop):
    write = await shop.plan("0002")
    before = await shop.read()
    shop.scripts.add("0002", "op.create_table('orders', sa.Column('id', sa.Integer))", down="0001")

    with pytest.raises(ChangeFailed, match=r"not become what was foreseen: .*orders.total is missing"):
        await shop.provider.write(write, shop.progress)

    assert await shop.read() == before


async def test_several_heads_in_the_database_are_refused(shop: Shop):
    await shop.migrate("0001")
    shop.run("INSERT INTO alembic_version (version_num) VALUES ('0009')")

    with pytest.raises(
        InvalidInput, match=r"database 'shop-db' is at several revisions at once \(0001, 0009\)"
    ):
        await shop.read()


async def test_a_merge_of_branches_goes_up_and_down(shop: Shop):
    shop.scripts.add(
        "0004a", "op.create_table('a', sa.Column('id', sa.Integer))", "op.drop_table('a')", down="0003"
    )
    shop.scripts.add(
        "0004b", "op.create_table('b', sa.Column('id', sa.Integer))", "op.drop_table('b')", down="0003"
    )
    shop.scripts.add("0005", "pass", down=("0004a", "0004b"))
    on_a_branch = (await shop.migrate("0004a", key="a")).goal

    write = await shop.migrate("0005", key="b")
    await shop.provider.write(back(write), shop.progress)

    assert (await shop.read()).values == on_a_branch


async def test_an_unknown_system_or_part_is_refused_with_the_known_ones(shop: Shop):
    with pytest.raises(UnknownName, match="known: shop-db"):
        await shop.provider.read("elsewhere", "all")
    with pytest.raises(UnknownName, match="known: all"):
        await shop.provider.read("shop-db", "canary")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://me:hush@host:port/name", "no address of a database"),
        ("mysql://me:hush@host/name", "Holdfast migrates no 'mysql'"),
        ("sqlite://", "has to be a file"),
        ("sqlite:////nowhere/shop.db", "there is no file /nowhere/shop.db"),
    ],
)
async def test_a_bad_address_is_told_with_its_field_and_without_its_password(
    sqlite_shop: Shop, url: str, words: str
):
    with pytest.raises(InvalidInput, match=rf"systems.yaml: systems.shop-db.url: .*{words}") as raised:
        await sqlite_shop.worker(url).read("shop-db", "all")

    assert "hush" not in str(raised.value)


async def test_a_missing_directory_of_scripts_is_told_with_its_field(sqlite_shop: Shop, tmp_path):
    provider = sqlite_shop.worker(scripts=tmp_path / "none")

    with pytest.raises(InvalidInput, match=r"systems.yaml: systems.shop-db.scripts: there is no directory"):
        await provider.foresee(sqlite_shop.effect("0001"), await sqlite_shop.read())


async def test_scripts_that_cannot_be_loaded_are_told_with_their_field(sqlite_shop: Shop):
    state = await sqlite_shop.read()
    (sqlite_shop.scripts.path / "versions" / "0004.py").write_text("def upgrade(:")

    with pytest.raises(
        InvalidInput, match=r"systems.shop-db.scripts: the scripts cannot be loaded: SyntaxError"
    ):
        await sqlite_shop.provider.foresee(sqlite_shop.effect("0001"), state)


async def test_a_server_that_is_not_there_is_unavailable(sqlite_shop: Shop, tmp_path):
    provider = sqlite_shop.worker(f"postgresql://me:hush@/name?host={tmp_path}")

    with pytest.raises(Unavailable, match="database 'shop-db' does not answer") as raised:
        await provider.read("shop-db", "all")

    assert "hush" not in str(raised.value)


async def test_a_database_that_may_not_be_read_is_refused_in_its_words(postgres_shop: Shop, postgres: Postgres):
    await postgres_shop.migrate("0001")
    postgres.run("DO $$ BEGIN CREATE ROLE stranger LOGIN; EXCEPTION WHEN duplicate_object THEN END $$")
    provider = postgres_shop.worker(postgres_shop.url.replace("holdfast@", "stranger@", 1))

    with pytest.raises(InvalidInput, match=r"'shop-db' refused: permission denied for table alembic_version"):
        await provider.read("shop-db", "all")


async def test_the_address_is_not_in_what_is_printed_of_the_provider(sqlite_shop: Shop):
    target = sqlite_shop.worker("postgresql://me:hush@host/name")._target("shop-db", "all")

    assert "hush" not in repr(target)
