from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from storage.database import Database
from tests.storage.automation_stories import STORIES


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_on_sqlite(story: Callable[[Database, Path], None], db: Database, tmp_path: Path) -> None:
    story(db, tmp_path)
