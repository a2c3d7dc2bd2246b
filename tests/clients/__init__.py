"""Clients in other languages than the server's."""
