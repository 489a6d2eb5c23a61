"""The staff's pages of this app; Django finds them here."""
