"""What one test run proved, and what it must not leave open."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass
class Evidence:
    """Outcomes by test, with the behaviours that each test claims."""

    claims: dict[str, frozenset[str]] = field(default_factory=dict)
    concurrent: set[str] = field(default_factory=set)
    outcomes: dict[str, str] = field(default_factory=dict)
    deselected: set[str] = field(default_factory=set)

    def record(self, test: str, when: str, outcome: str) -> None:
        """Note one phase of a test; a failure or skip in any phase outweighs a passed one."""
        if outcome != "passed":
            self.outcomes[test] = outcome
        elif when == "call":
            self.outcomes.setdefault(test, outcome)

    def counts(self) -> str:
        """Return the totals as words: `512 passed, 0 failed, 0 skipped`."""
        count = Counter(self.outcomes.values())
        return ", ".join(f"{count[outcome]} {outcome}" for outcome in ("passed", "failed", "skipped"))

    def without_proof(self, catalogue: Mapping[str, str | None]) -> list[str]:
        """Return the ids that are not waived and that no passed test claims."""
        proved = set[str]().union(*(self.claims.get(test, ()) for test in self._with_outcome("passed")))
        return [
            identifier for identifier, waived in catalogue.items() if not waived and identifier not in proved
        ]

    def waived_but_proved(self, catalogue: Mapping[str, str | None]) -> list[str]:
        """Return the waived ids that a test claims: the waiver, or the claim, is out of date."""
        claimed = set[str]().union(*self.claims.values())
        return [identifier for identifier, waived in catalogue.items() if waived and identifier in claimed]

    def left_out(self) -> list[str]:
        """Return the tests that were skipped, and the concurrency tests that were deselected."""
        return sorted([*self._with_outcome("skipped"), *(self.deselected & self.concurrent)])

    def ran_concurrently(self) -> bool:
        """Tell whether any concurrency test passed."""
        return any(test in self.concurrent for test in self._with_outcome("passed"))

    def _with_outcome(self, wanted: str) -> Iterable[str]:
        return (test for test, outcome in self.outcomes.items() if outcome == wanted)
