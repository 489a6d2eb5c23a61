"""Subscriptions and invoices that live at the processor: mirrored, never written."""
