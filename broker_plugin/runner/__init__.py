"""Hosts stages on a bus: exactly-once micro-batches, their state, and the two buses."""
