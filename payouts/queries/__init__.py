"""What is read of partners, listings, shares and earnings."""
