"""What every kind of letter has in common, for the staff to see what became of each."""

from __future__ import annotations

from django.db import models


class Letter(models.Model):
    """A letter that goes out once: waiting, sending, sent, superseded, no_address, failed or unknown."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    made_at = models.DateTimeField()
    status = models.TextField()
    attempts = models.IntegerField()
    next_try_at = models.DateTimeField(null=True)
    done_at = models.DateTimeField(null=True)

    class Meta:
        abstract = True
