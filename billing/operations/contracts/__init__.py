"""Contracts: drafting, activating, amending and terminating them, and moving them over their boundaries."""
