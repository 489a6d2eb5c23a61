"""Payouts: requested, decided on, sent by commands, and brought to what the processor says of them."""
