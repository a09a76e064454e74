"""Tables and the repository over them: SQLite by default, PostgreSQL by URL."""
