"""The tables of the hot path as SQLAlchemy Core sees them."""

from sqlalchemy import literal_column
from sqlmodel import SQLModel

from broker.store import grant_tables, ledger_tables, tables

TABLE_MODULES = (tables, grant_tables, ledger_tables)
"""Named so that importing this module is importing every table."""

_tables = SQLModel.metadata.tables

ACCESS = _tables["access"]
ACCESS_TOKEN = _tables["access_token"]
BOOT = _tables["boot"]
CHANGE = _tables["change"]
CLIENT = _tables["client"]
COUNTER = _tables["counter"]
CREDENTIAL = _tables["credential"]
FAMILY = _tables["token_family"]
GRANT = _tables["grant"]
RESERVATION = _tables["reservation"]
USER = _tables["user"]

HELD = RESERVATION.c.state == literal_column("'held'")
"""Said as a constant, which is what lets SQLite answer from the index of the few rows that are held."""
