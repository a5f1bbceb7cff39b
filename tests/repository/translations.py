"""Check that every text of the package is translated, and that what is compiled says what the texts and sources make.

Run by `tox -e translations`; takes GNU gettext. `--write` brings the sources up to date and compiles them.
"""

from __future__ import annotations

import gettext
import os
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import chdir
from pathlib import Path

from django.core.management import call_command

PACKAGE = Path(__file__).resolve().parents[2] / "usage_credits"
LANGUAGES = [folder.name for folder in sorted((PACKAGE / "locale").iterdir())]
LACKING = re.compile(r"\d+ (?:fuzzy|untranslated)")
# It would change with each collection, whether or not a text has.
COLLECTED_AT = re.compile(r'^"POT-Creation-Date: .*\n', re.MULTILINE)


def main() -> int:
    """Say how much of each language is translated; return how many of them are not as they should be."""
    if "--write" in sys.argv[1:]:
        collect(PACKAGE)
        for language in LANGUAGES:
            sys.stdout.write(f"{language}: {compiled(PACKAGE, language)}\n")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copytree(PACKAGE, Path(folder) / PACKAGE.name))
        collect(copy)
        verdicts = {language: verdict(copy, language) for language in LANGUAGES}
    for language, problem in verdicts.items():
        sys.stdout.write(f"{language}: {problem or 'every text is translated'}\n")
    return sum(map(bool, verdicts.values()))


def verdict(copy: Path, language: str) -> str:
    """Return what is wrong with a language, of which `copy` has the texts as they are now; nothing if all is well."""
    counted = compiled(copy, language)
    if LACKING.search(counted):
        return counted
    if shipped(copy, language) != shipped(PACKAGE, language):
        return "django.mo is not what the texts and django.po make; run this with --write"
    return ""


def collect(package: Path) -> None:
    """Bring the sources of all languages up to date with the texts of the package."""
    with chdir(package):
        call_command("makemessages", locale=LANGUAGES, add_location="file", no_obsolete=True, verbosity=0)
    for language in LANGUAGES:
        source = catalogue(package, language, "po")
        source.write_text(COLLECTED_AT.sub("", source.read_text(encoding="utf-8")), encoding="utf-8")


def compiled(package: Path, language: str) -> str:
    """Compile a language; return how many of its texts are translated, in the words of msgfmt."""
    source, target = (catalogue(package, language, suffix) for suffix in ("po", "mo"))
    done = subprocess.run(
        ["msgfmt", "--check", "--statistics", "-o", target, source],
        capture_output=True,
        text=True,
        env={**os.environ, "LC_ALL": "C"},
        check=False,
    )
    if done.returncode:
        sys.exit(done.stderr)
    return done.stderr.strip()


def shipped(package: Path, language: str) -> dict[object, str]:
    """Return what is compiled, by text; without the header, in which tools write what they like."""
    with catalogue(package, language, "mo").open("rb") as file:
        texts: dict[object, str] = dict(vars(gettext.GNUTranslations(file))["_catalog"])
    texts.pop("", None)
    return texts


def catalogue(package: Path, language: str, suffix: str) -> Path:
    return package / "locale" / language / "LC_MESSAGES" / f"django.{suffix}"


if __name__ == "__main__":
    sys.exit(main())
