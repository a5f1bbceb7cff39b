from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.example.studio import Studio, new_database


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory, django_db_blocker: Any) -> Iterator[Studio]:
    folder = tmp_path_factory.mktemp("studio")
    with django_db_blocker.unblock(), new_database(folder) as url:
        yield Studio(url, folder)
