"""The books: reserve, settle, sweep."""
