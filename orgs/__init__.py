"""Organizations and what belongs to them: teams, agents, workflows, connections, members and API keys."""

from typing import Final
from uuid import UUID

PLATFORM_ID: Final = UUID("01900000-0000-7000-8000-000000000000")
"""The organization whose streams are platform-wide; its row and event are made by the first migration."""
