"""Revenue metrics, as the staff reads them."""

from django.db import models


class RevenueMetrics(models.Model):
    """The figures of a month. Worked out when they are asked for; there is no table."""

    class Meta:
        managed = False
        verbose_name_plural = "revenue metrics"

    def __str__(self) -> str:
        return str(self.pk)
