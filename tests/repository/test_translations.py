from __future__ import annotations

import ast
import gettext
import re
from dataclasses import dataclass
from pathlib import Path

import django
import pytest

LOCALE = Path(__file__).parents[2] / "usage_credits" / "locale"
LANGUAGES = sorted(folder.name for folder in LOCALE.iterdir())

_FIELD = re.compile(r'^(msg\w+(?:\[\d\])?) ((?:".*"\n?)+)', re.MULTILINE)
_FUZZY = re.compile(r"^#,.*\bfuzzy\b", re.MULTILINE)
_PLACEHOLDER = re.compile(r"%(?:\(\w+\))?[a-z]|\{\w*\}")

pytestmark = pytest.mark.parametrize("language", LANGUAGES)


@dataclass(frozen=True)
class Entry:
    """A text of a source, and what it is in the language: in one form, or in each that a number asks for."""

    key: str
    texts: tuple[str, ...]
    forms: tuple[str, ...]
    is_fuzzy: bool


def file_of(language: str, suffix: str) -> Path:
    return LOCALE / language / "LC_MESSAGES" / f"django.{suffix}"


def entries_of(language: str) -> list[Entry]:
    """Return all entries of a source but its header."""
    blocks = file_of(language, "po").read_text(encoding="utf-8").split("\n\n")
    return [_entry(block) for block in blocks[1:]]


def _entry(block: str) -> Entry:
    fields = {name: "".join(map(ast.literal_eval, text.splitlines())) for name, text in _FIELD.findall(block)}
    context = f"{fields['msgctxt']}\x04" if "msgctxt" in fields else ""
    return Entry(
        key=context + fields["msgid"],
        texts=tuple(fields[name] for name in ("msgid", "msgid_plural") if name in fields),
        forms=tuple(text for name, text in fields.items() if name.startswith("msgstr")),
        is_fuzzy=_FUZZY.search(block) is not None,
    )


def placeholders_of(text: str) -> list[str]:
    return sorted(_PLACEHOLDER.findall(text))


def compiled(path: Path) -> gettext.GNUTranslations:
    with path.open("rb") as file:
        return gettext.GNUTranslations(file)


def number_of_plurals(language: str) -> int:
    header = compiled(file_of(language, "mo")).info()["plural-forms"]
    return int(header.partition("nplurals=")[2].partition(";")[0])


def test_every_text_is_translated(language: str) -> None:
    entries = entries_of(language)
    assert len(entries) > 300
    assert not [entry.key for entry in entries if entry.is_fuzzy or "" in entry.forms]


def test_translations_have_the_placeholders_of_their_texts(language: str) -> None:
    differing = [
        form
        for entry in entries_of(language)
        for form in entry.forms
        if placeholders_of(form) not in map(placeholders_of, entry.texts)
    ]
    assert not differing


def test_plurals_have_each_form_of_the_language(language: str) -> None:
    numbers = {entry.key: len(entry.forms) for entry in entries_of(language) if len(entry.texts) == 2}
    assert numbers
    assert set(numbers.values()) == {number_of_plurals(language)}


def test_compiled_texts_are_those_of_the_source(language: str) -> None:
    texts = dict(vars(compiled(file_of(language, "mo")))["_catalog"])
    texts.pop("")
    assert texts == {
        (entry.key, number) if len(entry.texts) == 2 else entry.key: form
        for entry in entries_of(language)
        for number, form in enumerate(entry.forms)
    }


# A project's pages have one catalogue: what is translated here is translated everywhere.
def test_texts_of_django_stay_as_they_are(language: str) -> None:
    for path in Path(django.__file__).parent.rglob(f"locale/{language}/LC_MESSAGES/django.mo"):
        theirs = compiled(path)
        assert not [
            entry.key
            for entry in entries_of(language)
            if entry.key in vars(theirs)["_catalog"] and theirs.gettext(entry.key) not in entry.forms
        ]
