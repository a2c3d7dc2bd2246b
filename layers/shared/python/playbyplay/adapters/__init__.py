"""Ports made real: the system clock here, AWS beside it."""
