from __future__ import annotations

import re
import signal
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.example.studio import Studio

STEPS = [
    "signed up",
    "Buy Starter",
    "rendered “Rings of noon”: 512 × 512",
    "upscaled “Rings of noon”: 1024 × 1024",
    "one picture, charged once",
    "404",
    "low_balance_reached",
    "refused (402)",
    "Buy Studio",
    "expire_credits booked it",
    "refused (400)",
    "the purchase announced",
    "Subscribe to Pro”, 15.00 USD every month",
    "the next 400 credits of the plan come",
    "the subscription announced",
    "cancelled in Stripe's portal",
    "275 of the pack's 550 credits taken back",
    "asked a language model",
    "read while it came",
    "the chat tells what was spent",
    "a reply that broke off",
    "the saved card paid for a pack",
    "sound",
]


@pytest.fixture(scope="module")
def first_run(studio: Studio) -> tuple[int, str]:
    return studio.run("demo")


def test_demo_plays_every_step_and_ends_by_itself(first_run: tuple[int, str]) -> None:
    code, output = first_run
    assert code == 0, output
    steps = [line for line in output.splitlines() if line.startswith("✓")]
    for expected in STEPS:
        assert any(expected in step for step in steps), f"{expected} is missing in\n{output}"


def test_demo_prints_a_statement_that_adds_up(first_run: tuple[int, str]) -> None:
    _code, output = first_run
    rows = re.findall(r"^  \d\d:\d\d:\d\d  (.+?) +([+-]\d+) +(\d+)$", output, re.MULTILINE)
    assert len(rows) >= 20, output
    balance = 0
    for _what, amount, after in rows:
        balance += int(amount)
        assert balance == int(after)
    assert balance == 767


def test_demo_serves_a_second_time_until_interrupted(studio: Studio, first_run: tuple[int, str]) -> None:
    with studio.start("demo", "--serve", "--port", "0") as process:
        try:
            assert process.stdout
            output = ""
            for line in process.stdout:
                output += line
                if "Ctrl-C" in line:
                    break
            found = re.search(r"The studio: +(http://127.0.0.1:\d+/) ", output)
            assert found, output
            with urllib.request.urlopen(found[1], timeout=30) as answer:
                assert "Pictures out of nothing" in answer.read().decode()
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 0
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(found[1], timeout=5)


def test_demo_shows_what_the_site_says_and_fails_when_a_step_fails(
    studio: Studio, first_run: tuple[int, str], tmp_path: Path
) -> None:
    (tmp_path / "media").write_text("a file where the folder of the pictures should be")
    code, output = studio.moved_to(tmp_path).run("demo")
    assert code == 1
    assert "✗ the balance should be 74, it is none" in output
    assert "Internal Server Error: /renders/new/" in output
    assert "Traceback" in output
