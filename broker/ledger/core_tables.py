"""The tables of the hot path as SQLAlchemy Core sees them."""

from sqlalchemy import literal_column
from sqlmodel import SQLModel

from broker.store import grant_tables, ledger_tables, tables

TABLE_MODULES = (tables, grant_tables, ledger_tables)
"""Named so that importing this module is importing every table."""

_tables = SQLModel.metadata.tables

BOOT = _tables["boot"]
COUNTER = _tables["counter"]
RESERVATION = _tables["reservation"]

HELD = RESERVATION.c.state == literal_column("'held'")
"""Said as a constant, which is what lets SQLite answer from the index of the few rows that are held."""
