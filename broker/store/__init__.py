"""The only door to SQL: tables, migrations, one repository a noun."""
