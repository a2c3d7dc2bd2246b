"""Recorded journals of each version, and what must be made of them for ever."""
