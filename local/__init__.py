"""The same system on one machine: one process, SQLite, aiohttp."""
