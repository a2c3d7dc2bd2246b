"""POST /ticket: who is signed in gets the right to open one connection."""
