"""Ports in memory, with faults to order."""
