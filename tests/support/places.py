"""Where the project and its sample photo lie."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATHS = os.pathsep.join((str(ROOT), str(ROOT / "tests")))  # what a test's own processes import from
PORTRAIT = ROOT / "examples" / "portrait.jpg"
