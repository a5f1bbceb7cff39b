"""What the database itself allows: the least that a debit can be, written with psycopg alone.

V0 takes from one number and writes a row; it has no lots and could not say what paid for what. V1 does what a debit of
this ledger does, in the plain statements that anyone would write for it.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any

import psycopg

SCHEMA = """
CREATE SCHEMA floor;
CREATE TABLE floor.wallet (id bigserial PRIMARY KEY, balance bigint NOT NULL);
CREATE TABLE floor.row (
    id bigserial PRIMARY KEY,
    wallet_id bigint NOT NULL REFERENCES floor.wallet,
    amount bigint NOT NULL CHECK (amount <> 0),
    category varchar(100) NOT NULL,
    balance_before bigint NOT NULL,
    balance_after bigint NOT NULL CHECK (balance_after = balance_before + amount),
    metadata jsonb NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX ON floor.row (wallet_id, id);
CREATE TABLE floor.lot (
    id bigserial PRIMARY KEY,
    wallet_id bigint NOT NULL REFERENCES floor.wallet,
    row_id bigint NOT NULL UNIQUE REFERENCES floor.row,
    amount bigint NOT NULL,
    remaining bigint NOT NULL CHECK (remaining BETWEEN 0 AND amount),
    is_open boolean NOT NULL,
    expires_at timestamptz
);
CREATE INDEX ON floor.lot (wallet_id, expires_at, id) WHERE is_open;
CREATE TABLE floor.allocation (
    id bigserial PRIMARY KEY,
    debit_id bigint NOT NULL REFERENCES floor.row,
    lot_id bigint NOT NULL REFERENCES floor.lot,
    amount bigint NOT NULL CHECK (amount > 0)
);
CREATE INDEX ON floor.allocation (debit_id);
CREATE INDEX ON floor.allocation (lot_id);
"""

INSERT_ROW = """
INSERT INTO floor.row (wallet_id, amount, category, balance_before, balance_after, metadata, created_at)
VALUES (%s, %s, %s, %s, %s, %s, %s) RETURNING id
"""


@dataclass(frozen=True)
class Floor:
    """A wallet of the floors' own tables, over a connection of its own."""

    connection: psycopg.Connection[Any]
    wallet: int

    def debit_v0(self) -> None:
        """Take 1 from the balance and write a row, in one statement."""
        self.connection.execute(
            "WITH paid AS (UPDATE floor.wallet SET balance = balance - 1 WHERE id = %s AND balance >= 1 "
            "RETURNING id, balance) INSERT INTO floor.row (wallet_id, amount, category, balance_before, "
            "balance_after, metadata, created_at) "
            "SELECT id, -1, 'operation_charge', balance + 1, balance, '{}', now() FROM paid",
            [self.wallet],
        )

    def debit_v1(self) -> None:
        """Lock the wallet, read its open lots, write the row and its allocations, update the lots and the wallet."""
        with self.connection.transaction(), self.connection.cursor() as cursor:
            cursor.execute("SELECT balance FROM floor.wallet WHERE id = %s FOR NO KEY UPDATE", [self.wallet])
            balance = cursor.fetchall()[0][0]
            cursor.execute(
                "SELECT id, remaining, expires_at FROM floor.lot WHERE wallet_id = %s AND is_open "
                "ORDER BY expires_at, id",
                [self.wallet],
            )
            paid, left = [], 1
            for lot, remaining, _expires_at in cursor.fetchall():
                taken = min(left, remaining)
                left -= taken
                if taken:
                    paid.append((lot, taken, remaining - taken))
            now = datetime.datetime.now(datetime.UTC)
            cursor.execute(INSERT_ROW, [self.wallet, -1, "operation_charge", balance, balance - 1, "{}", now])
            row = cursor.fetchall()[0][0]
            cursor.execute(
                f"INSERT INTO floor.allocation (debit_id, lot_id, amount) VALUES "
                f"{', '.join(['(%s, %s, %s)'] * len(paid))}",
                [value for lot, taken, _rest in paid for value in (row, lot, taken)],
            )
            cursor.execute(
                f"UPDATE floor.lot SET remaining = new.remaining, is_open = new.remaining > 0 FROM "
                f"(VALUES {', '.join(['(%s::bigint, %s::bigint)'] * len(paid))}) AS new (id, remaining) "
                f"WHERE floor.lot.id = new.id",
                [value for lot, _taken, rest in paid for value in (lot, rest)],
            )
            cursor.execute("UPDATE floor.wallet SET balance = %s WHERE id = %s", [balance - 1, self.wallet])


def open_floor(address: str, *, history: int = 0, lots: int = 5) -> Floor:
    """Return a wallet with `lots` open lots, after `history` rows; creates the tables where they are missing."""
    connection = psycopg.connect(address, autocommit=True)
    if connection.execute("SELECT to_regclass('floor.wallet')").fetchall()[0][0] is None:
        connection.execute(SCHEMA)
    wallet = connection.execute("INSERT INTO floor.wallet (balance) VALUES (0) RETURNING id").fetchall()[0][0]
    connection.execute(
        "INSERT INTO floor.row (wallet_id, amount, category, balance_before, balance_after, metadata, created_at) "
        "SELECT %s, 1 - 2 * (n %% 2), 'past', n %% 2, 1 - n %% 2, '{}', now() FROM generate_series(0, %s - 1) n",
        [wallet, history],
    )
    for number in range(lots):
        now = datetime.datetime.now(datetime.UTC)
        before = number * 10**9
        row = connection.execute(
            INSERT_ROW, [wallet, 10**9, "credit_added", before, before + 10**9, "{}", now]
        ).fetchall()
        connection.execute(
            "INSERT INTO floor.lot (wallet_id, row_id, amount, remaining, is_open, expires_at) "
            "VALUES (%s, %s, %s, %s, true, %s)",
            [wallet, row[0][0], 10**9, 10**9, now + datetime.timedelta(days=30 + number)],
        )
    connection.execute("UPDATE floor.wallet SET balance = %s WHERE id = %s", [lots * 10**9, wallet])
    return Floor(connection, wallet)
