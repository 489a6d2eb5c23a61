"""Outbound commands (ADR 0016): what the processor is to do is recorded, committed, sent, and its outcome recorded."""

from billing.operations.commands.purposes import Purpose, register_purpose
from billing.operations.commands.requesting import request
from billing.operations.commands.sending import deliver, send_commands, send_due

__all__ = ["Purpose", "deliver", "register_purpose", "request", "send_commands", "send_due"]
