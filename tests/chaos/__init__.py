"""The campaign with real processes: a server that is killed, a network that breaks, and a judge."""
