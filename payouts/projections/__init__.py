"""Events of this app to rows."""
