"""What reconciliation reads."""
