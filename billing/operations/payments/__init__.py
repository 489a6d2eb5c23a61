"""Payments: what is asked of the processor, and what it did."""
