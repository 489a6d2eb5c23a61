"""What reconciliation decides; plain values in and out."""
