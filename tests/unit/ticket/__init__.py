"""POST /ticket."""
