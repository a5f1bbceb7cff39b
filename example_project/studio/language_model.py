"""A language model that is none: it makes up its replies from a few phrases, the same for the same question.

Here a product calls a provider, whose client hands over a reply in parts, too, and counts tokens by rules of its own.
In this module a token is a word. Nothing here knows of credits.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass

FAILS_AT = "break off"
"""Words in a question after which the model fails in the middle of its reply: to see what that costs."""

_BREAKS_AFTER = 8

_PHRASES = (
    "Begin with {topic} and let the light come from one side.",
    "A low sun makes {topic} longer than it is, and nobody minds.",
    "Keep to three colours: one for {topic}, one for the sky, one for the shade.",
    "A small render shows soon enough whether {topic} holds together.",
    "Try another seed before you try another style.",
    "If {topic} looks flat, move the horizon down by a third.",
    "Folded paper suits {topic}, because every facet has a tone of its own.",
    "Rings around a centre lead the eye to {topic} without a single straight line.",
    "Leave a part of it empty; what is missing is what people look at.",
    "Upscale the one that you keep, and only that one.",
)


class BrokenOff(Exception):
    """The model failed in the middle of a reply."""


@dataclass(frozen=True)
class LanguageModel:
    """One of the models on offer; a reply has `sentences` of them and never more than `most_tokens`."""

    name: str
    title: str
    sentences: int
    most_tokens: int
    seconds_a_token: float

    def reply(self, question: str, *, pace: float = 1.0) -> Iterator[str]:
        """Yield the tokens of a reply as they come, each with the space before it.

        `pace` makes waits longer or shorter, 0 leaves them out. Raises BrokenOff where the question asks for it.
        """
        for number, word in enumerate(self._words(question)):
            if number == _BREAKS_AFTER and FAILS_AT in question.lower():
                raise BrokenOff(f"{self.title} broke off.")
            time.sleep(self.seconds_a_token * pace)
            yield f" {word}" if number else word

    def _words(self, question: str) -> list[str]:
        chance = random.Random(f"{self.name}:{question}")  # noqa: S311 - small talk, not secrets
        words = [word.strip(".,;:!?\"'()") for word in question.split()]
        topic = f"“{max(words, key=len, default='') or 'the picture'}”"
        phrases = chance.sample(_PHRASES, self.sentences)
        return " ".join(phrase.format(topic=topic) for phrase in phrases).split()[: self.most_tokens]


MODELS = {
    model.name: model
    for model in (
        LanguageModel("swift", "Swift", sentences=2, most_tokens=40, seconds_a_token=0.015),
        LanguageModel("deep", "Deep", sentences=6, most_tokens=120, seconds_a_token=0.02),
    )
}


def count_tokens(*texts: str) -> int:
    """Return how many tokens the model reads or writes in these texts."""
    return sum(len(text.split()) for text in texts)
