"""What the database itself allows: a debit written by hand, with psycopg alone.

V0 takes from one number and writes a row, in two tables of its own; it has no lots and could not say what paid for
what. V1 writes the rows that a debit of this ledger writes, into its tables, in the plain statements that anyone would
write for it; what it leaves is proved as all else is. Nothing is prepared, as on Django's connections, unless told so.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any

import psycopg

SCHEMA_V0 = """
CREATE SCHEMA IF NOT EXISTS floor;
CREATE TABLE IF NOT EXISTS floor.wallet (id bigint PRIMARY KEY, balance bigint NOT NULL);
CREATE TABLE IF NOT EXISTS floor.row (
    id bigserial PRIMARY KEY,
    wallet_id bigint NOT NULL REFERENCES floor.wallet,
    amount bigint NOT NULL CHECK (amount <> 0),
    category varchar(100) NOT NULL,
    balance_before bigint NOT NULL,
    balance_after bigint NOT NULL CHECK (balance_after = balance_before + amount),
    metadata jsonb NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX IF NOT EXISTS row_history ON floor.row (wallet_id, id);
"""
DEBIT_V0 = """
WITH paid AS (
    UPDATE floor.wallet SET balance = balance - 1 WHERE id = %s AND balance >= 1 RETURNING id, balance
)
INSERT INTO floor.row (wallet_id, amount, category, balance_before, balance_after, metadata, created_at)
SELECT id, -1, 'credit_deducted', balance + 1, balance, '{}', now() FROM paid
"""
LOCK_WALLET = "SELECT balance FROM usage_credits_wallet WHERE id = %s FOR NO KEY UPDATE"
READ_LOTS = """
SELECT id, remaining, expires_at FROM usage_credits_lot WHERE wallet_id = %s AND is_open
ORDER BY priority, expires_at, id
"""
INSERT_ROW = """
INSERT INTO usage_credits_transaction
    (wallet_id, amount, category, balance_before, balance_after, overdraft, metadata, created_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s) RETURNING id
"""
INSERT_ALLOCATION = (
    "INSERT INTO usage_credits_allocation (wallet_id, debit_id, lot_id, amount) VALUES (%s, %s, %s, %s)"
)
UPDATE_LOT = "UPDATE usage_credits_lot SET remaining = %s, is_open = %s WHERE id = %s"
UPDATE_WALLET = "UPDATE usage_credits_wallet SET balance = %s WHERE id = %s"


@dataclass(frozen=True)
class Floor:
    """A wallet of the ledger, debited over a connection of its own."""

    connection: psycopg.Connection[Any]
    wallet: int

    def debit_v0(self) -> None:
        """Take 1 from the balance and write a row, in one statement."""
        self.connection.execute(DEBIT_V0, [self.wallet])

    def debit_v1(self) -> None:
        """Lock the wallet, read its open lots, write the row and its allocation, update the lot and the wallet."""
        with self.connection.transaction(), self.connection.cursor() as cursor:
            cursor.execute(LOCK_WALLET, [self.wallet])
            balance = cursor.fetchall()[0][0]
            now = datetime.datetime.now(datetime.UTC)
            cursor.execute(READ_LOTS, [self.wallet])
            # The floor is a debit of 1, which the first lot can pay alone.
            lot, remaining = next(
                (lot, remaining)
                for lot, remaining, expires_at in cursor.fetchall()
                if expires_at is None or expires_at > now
            )
            row = [self.wallet, -1, "credit_deducted", balance, balance - 1, 0, "{}", now]
            cursor.execute(INSERT_ROW, row)
            debit = cursor.fetchall()[0][0]
            cursor.execute(INSERT_ALLOCATION, [self.wallet, debit, lot, 1])
            cursor.execute(UPDATE_LOT, [remaining - 1, remaining > 1, lot])
            cursor.execute(UPDATE_WALLET, [balance - 1, self.wallet])


def open_floor(address: str, wallet: int, *, prepared: bool = False) -> Floor:
    """Return the wallet (primary key) as a floor; `prepared` lets psycopg prepare what it sends for the fifth time."""
    connection = psycopg.connect(address, autocommit=True)
    if not prepared:
        connection.prepare_threshold = None
    return Floor(connection, wallet)


def make_balance(address: str, wallet: int) -> None:
    """Give V0 a balance that no benchmark uses up."""
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(SCHEMA_V0)
        connection.execute("INSERT INTO floor.wallet VALUES (%s, 10^15) ON CONFLICT DO NOTHING", [wallet])
