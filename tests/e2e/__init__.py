"""Real sockets, real processes, a real browser."""
