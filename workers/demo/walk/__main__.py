"""Takes the pictures of the walk in docs/telegram.md: `python -m workers.demo.walk docs/images [en|ru]`.

Needs the development dependencies and Chromium (`scripts/setup --for-tests`); about two minutes a language.
"""

import sys
from pathlib import Path

from workers.demo.walk.stage import LANGUAGES, walk

if __name__ == "__main__":
    for spoken in sys.argv[2:] or LANGUAGES:
        walk(Path(sys.argv[1]), spoken)
