"""What an event of Stripe is to us: plain values."""
