"""The asyncio client and the command line."""
