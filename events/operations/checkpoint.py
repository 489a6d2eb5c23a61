"""The nightly proof: yesterday's checkpoint plus today's events give today's projections."""

import logging

from events.rebuilding.run import AlreadyRunning, rebuild

logger = logging.getLogger(__name__)


class ProjectionsDiffer(Exception):
    """The live projections are not what the events make of them."""


def take_nightly_checkpoint() -> int:
    """This function will check the projections from the newest checkpoint on, keep them as a new one, and return how
    many events that were. Raises ProjectionsDiffer; `rebuild --check` names the rows."""
    try:
        outcome = rebuild(from_checkpoint=True, take_checkpoint=True)
    except AlreadyRunning:
        return 0
    if outcome.differences:
        first = [str(difference) for difference in outcome.differences[:10]]
        logger.error("rebuild.differences", extra={"differences": first})
        raise ProjectionsDiffer(f"{len(outcome.differences)} differences: {first[0]}")
    return outcome.events
