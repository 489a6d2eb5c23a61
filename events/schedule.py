"""What beat sends for the event store. Messages expire, so that none pile up while no worker is there."""

from typing import Any, Final

BEAT: Final[dict[str, dict[str, Any]]] = {
    "advance-subscribers": {
        "task": "events.tasks.advance_subscribers",
        "schedule": 1.0,
        "options": {"expires": 5},
    },
    "run-due-jobs": {"task": "events.tasks.run_due_jobs", "schedule": 1.0, "options": {"expires": 5}},
    "worker-heartbeat": {"task": "events.tasks.beat_heart", "schedule": 10.0, "options": {"expires": 10}},
}
