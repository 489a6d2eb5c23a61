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


def main() -> int:
    """Play; 0 only when every step held."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.story", description="Play the demo story.")
    parser.add_argument("--svg", type=Path, help="also keep a picture of the transcript in this file")
    picture: Path | None = parser.parse_args().svg
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
    if picture is not None:
        transcript.save_picture(picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
