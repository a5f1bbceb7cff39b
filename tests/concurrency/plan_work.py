"""What the processes of the concurrency tests of plans do. Results are plain values that travel between processes."""

from __future__ import annotations

from tests.app.models import User
from usage_credits import start_plan, stop_plan


def start_plans(owner_ids: list[int]) -> list[int]:
    return [start_plan(User.objects.get(pk=pk), "pro").pk for pk in owner_ids]


def stop_and_start_plans(owner_id: int, times: int) -> str:
    user = User.objects.get(pk=owner_id)
    for _ in range(times):
        start_plan(user, "pro")
        stop_plan(user, "pro")
    start_plan(user, "pro")
    return "done"
