"""Every client frame, one verb per file."""
