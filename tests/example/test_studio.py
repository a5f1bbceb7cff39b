from __future__ import annotations

from tests.example.studio import Studio


def test_check_finds_nothing_in_the_example(studio: Studio) -> None:
    code, output = studio.run("check", "--fail-level", "WARNING")
    assert code == 0, output


def test_its_own_tests_pass(studio: Studio) -> None:
    code, output = studio.run_tests()
    assert code == 0, output
    assert " passed" in output
