"""Payouts: their states, what lets one be made, and what each step does in the books. Pure."""
