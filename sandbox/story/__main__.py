"""`python -m sandbox.story`: play the story against what runs in the state folder."""

import argparse
import sys
from pathlib import Path

from sandbox.places import home as state_home
from sandbox.places import read_json
from sandbox.story.api import StoryFailed
from sandbox.story.checks import InvariantBroken
from sandbox.story.script import play_story
from sandbox.story.transcript import Transcript

OPENING = (0, 1, 2, 3)  # until the runaway agent was stopped in two ways


def main() -> int:
    """Play; 0 only when every step held."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.story", description="Play the demo story.")
    parser.add_argument(
        "--svg", type=Path, metavar="FOLDER", help="also keep pictures of the transcript there"
    )
    folder: Path | None = parser.parse_args().svg
    transcript, home = Transcript(), state_home()
    urls, demo = (read_json(path=home / "run" / name) for name in ("urls.json", "demo.json"))
    if not urls or not demo:
        transcript.fails(f"Nothing runs from {home}: start it with `make run`.")
        return 1
    try:
        play_story(urls=urls, demo=demo, home=home, transcript=transcript)
    except (InvariantBroken, StoryFailed) as failure:
        transcript.fails(str(failure))
        return 1
    except KeyboardInterrupt:
        return 130
    if folder is not None:
        transcript.save_picture(folder / "story.svg")
        transcript.save_picture(folder / "stopped.svg", acts=OPENING)
    return 0


if __name__ == "__main__":
    sys.exit(main())
