"""Payments: what the processor did, and what it means. Pure."""
