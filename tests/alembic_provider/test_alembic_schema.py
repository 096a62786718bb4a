"""The fingerprint: the same for the same schema, another for another one."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import NullPool, create_engine

from holdfast.adapters.alembic.postgresql_schema import normalised as as_restored
from holdfast.adapters.alembic.schema import Schema, read_schema
from holdfast.adapters.alembic.sqlite_schema import normalised
from tests.alembic_provider.conftest import Shop

_TABLES = [
    "CREATE TABLE a (id INTEGER PRIMARY KEY, x TEXT NOT NULL DEFAULT 'it''s', CONSTRAINT c CHECK (x <> ''))",
    "CREATE TABLE b (id INTEGER PRIMARY KEY, a INTEGER, y NUMERIC(4, 2), UNIQUE (y))",
    "CREATE TABLE c (k VARCHAR(9) PRIMARY KEY)",
]
_REST = [
    "CREATE INDEX a_x ON a (x) WHERE x <> 'none'",
    "CREATE UNIQUE INDEX b_y ON b (a, y)",
    "CREATE VIEW v AS SELECT x FROM a",
    "CREATE INDEX c_lower ON c (lower(k))",
]
_COLUMNS = ["p INTEGER", "q TEXT NOT NULL DEFAULT 'q'", "r NUMERIC(5, 1)"]


def schema_of(statements: list[str]) -> Schema:
    engine = create_engine("sqlite://", poolclass=NullPool)
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
        return read_schema(connection, "alembic_version")


@given(tables=st.permutations(_TABLES), rest=st.permutations(_REST))
def test_the_order_in_which_things_were_made_does_not_count(tables: list[str], rest: list[str]):
    assert schema_of([*tables, *rest]) == schema_of([*_TABLES, *_REST])


@given(columns=st.permutations(_COLUMNS), late=st.integers(0, 3))
def test_the_order_of_columns_does_not_count_nor_whether_they_came_late(columns: list[str], late: int):
    early = [c for c in columns if c.startswith("p")] + columns[late:]
    named = list(dict.fromkeys(early))
    added = [f"ALTER TABLE t ADD COLUMN {column}" for column in columns if column not in named]

    found = schema_of([f"CREATE TABLE t ({', '.join(named)})", *added])

    assert found == schema_of([f"CREATE TABLE t ({', '.join(_COLUMNS)})"])


@given(st.sampled_from([*range(len(_TABLES)), *range(10, 10 + len(_REST))]))
def test_whatever_is_missing_changes_the_fingerprint_and_is_named(missing: int):
    rest = [s for number, s in enumerate(_REST) if number + 10 != missing]
    whole, less = schema_of([*_TABLES, *_REST]), schema_of([*_TABLES, *rest])
    if missing < len(_TABLES):
        less = Schema(frozenset(line for line in whole.lines if not line.startswith(f"table {'abc'[missing]}")))

    assert less.fingerprint != whole.fingerprint
    assert "is missing" in less.differences(whole)
    assert "should not be there" in whole.differences(less)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("CREATE TABLE t (x INTEGER)", "CREATE TABLE t (x TEXT)"),
        ("CREATE TABLE t (x INTEGER)", "CREATE TABLE t (x INTEGER NOT NULL)"),
        ("CREATE TABLE t (x INTEGER DEFAULT 1)", "CREATE TABLE t (x INTEGER DEFAULT 2)"),
        ("CREATE TABLE t (x TEXT)", "CREATE TABLE t (x TEXT COLLATE NOCASE)"),
        ("CREATE TABLE t (x INTEGER PRIMARY KEY)", "CREATE TABLE t (x INTEGER PRIMARY KEY AUTOINCREMENT)"),
        ("CREATE TABLE t (x INT PRIMARY KEY)", "CREATE TABLE t (x INT PRIMARY KEY) WITHOUT ROWID"),
        ("CREATE TABLE t (x INT)", "CREATE TABLE t (x INT) STRICT"),
        ("CREATE TABLE t (x INT, CHECK (x > 1))", "CREATE TABLE t (x INT, CHECK (x > 2))"),
        (
            "CREATE TABLE t (x INT REFERENCES t (x))",
            "CREATE TABLE t (x INT REFERENCES t (x) ON DELETE CASCADE)",
        ),
        ("CREATE TABLE t (x INT, y INT AS (x + 1))", "CREATE TABLE t (x INT, y INT AS (x + 2))"),
        ("CREATE TABLE t (x INT, y INT, UNIQUE (x))", "CREATE TABLE t (x INT, y INT, UNIQUE (x, y))"),
    ],
)
def test_what_makes_a_difference_to_a_table_makes_one_to_the_fingerprint(one: str, other: str):
    assert schema_of([one]).fingerprint != schema_of([other]).fingerprint


@given(st.sets(st.text(st.characters(codec="utf-8"))), st.randoms(use_true_random=False))
def test_a_fingerprint_has_twelve_digits_and_depends_on_the_lines_alone(lines: set[str], random):
    shuffled = sorted(lines, key=lambda _line: random.random())

    fingerprint = Schema(frozenset(shuffled)).fingerprint

    assert fingerprint == Schema(frozenset(lines)).fingerprint
    assert len(fingerprint) == 12
    assert int(fingerprint, 16) >= 0


@pytest.mark.parametrize(
    ("one", "same"),
    [
        ('CREATE TABLE "orders" (id INT)', "CREATE  TABLE orders (\n id int -- the number\n)"),
        ("CREATE VIEW v AS SELECT [a b] FROM t", 'create view v as select "a b" from /* all */ t'),
    ],
)
def test_quotes_spaces_and_comments_of_sqlite_do_not_count(one: str, same: str):
    assert normalised(one) == normalised(same)


def test_text_of_sqlite_counts_as_it_is():
    assert normalised("x = 'A -- b'") != normalised("x = 'a -- b'")


def test_a_list_of_texts_is_the_same_before_and_after_pg_dump():
    typed = "CHECK (((s)::text = ANY ((ARRAY['a'::character varying, 'b'::character varying])::text[])))"
    restored = (
        "CHECK (((s)::text = ANY (ARRAY[('a'::character varying)::text, ('b'::character varying)::text])))"
    )

    assert as_restored(typed) == as_restored(restored)
    assert as_restored(typed) != as_restored(typed.replace("'b'", "'c'"))


async def test_our_own_tables_do_not_count(shop: Shop):
    before = (await shop.read()).values["fingerprint"]

    shop.run(
        "CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY)",
        "CREATE TABLE holdfast_changes (key TEXT PRIMARY KEY)",
    )

    assert (await shop.read()).values["fingerprint"] == before


async def test_another_version_table_is_looked_into_where_the_system_says_so(shop: Shop):
    shop.provider = shop.worker(version_table="shop_version")

    await shop.migrate("0001")

    assert shop.rows("SELECT version_num FROM shop_version") == [("0001",)]


async def test_reading_makes_no_file(sqlite_shop: Shop, tmp_path: Path):
    await sqlite_shop.read()

    assert names_in(tmp_path) == ["migrations", "shop.db"]


def names_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())
