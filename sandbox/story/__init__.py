"""The demo story: three agents at work through the public HTTP API; one runs away in several ways, and is stopped.

    python -m sandbox.story                plays it against what runs in the state folder
    python -m sandbox.story --svg FOLDER   also keeps pictures of the transcript

Every play makes an organization of its own, so that its figures are exact; exit status 0 only when every
invariant held.
"""
