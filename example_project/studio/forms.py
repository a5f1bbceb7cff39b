from __future__ import annotations

import random
import uuid
from typing import Any

from django import forms
from django.contrib.auth.forms import UserCreationForm

from studio.language_model import MODELS
from studio.models import Message, Render, User
from studio.rendering import MAX_SEED, Picture, Style
from usage_credits import InvalidOperation

SIZES = {
    "512x512": "Square, small",
    "1024x1024": "Square",
    "2000x2000": "Square, large",
    "1920x1080": "Landscape",
    "1080x1920": "Portrait",
    "3000x2000": "Poster",
}


class SignUpForm(UserCreationForm):  # type: ignore[type-arg]  # generic in the stubs only
    class Meta(UserCreationForm.Meta):
        model = User
        fields = ("username", "email")


class PictureForm(forms.Form):
    """What to draw."""

    style = forms.ChoiceField(choices=Render.StyleChoices.choices)
    size = forms.ChoiceField(choices=list(SIZES.items()))
    seed = forms.IntegerField(
        min_value=0, max_value=MAX_SEED, help_text="The same seed always gives the same picture."
    )

    def picture(self) -> Picture:
        width, height = self.cleaned_data["size"].split("x")
        return Picture(Style(self.cleaned_data["style"]), self.cleaned_data["seed"], int(width), int(height))


class RenderForm(PictureForm):
    """The order of a render; each size is offered with its price."""

    title = forms.CharField(max_length=80, help_text="What the picture is called in your gallery.")
    # An order sent twice, by an impatient click or a reload, has the same key and is charged once.
    key = forms.UUIDField(widget=forms.HiddenInput)

    field_order = ["title", "style", "size", "seed", "key"]

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        sizes: Any = self.fields["size"]
        sizes.choices = [(size, _priced(user, size, name)) for size, name in SIZES.items()]

    @staticmethod
    def fresh() -> dict[str, Any]:
        """Return the values of an empty form: a new order, with a seed to start from."""
        return {
            "title": "Untitled",
            "style": Style.DUNES.value,
            "size": "1024x1024",
            "seed": random.randint(0, MAX_SEED),  # noqa: S311 - art, not secrets
            "key": uuid.uuid4(),
        }


class MessageForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    """A question to a language model."""

    # As above: a question that is sent twice has the same key, and its reply is charged once.
    key = forms.UUIDField(widget=forms.HiddenInput)

    class Meta:
        model = Message
        fields = ("question", "model")
        widgets = {"question": forms.Textarea(attrs={"rows": 3, "maxlength": 1_000})}

    @staticmethod
    def fresh(model: str = "") -> dict[str, Any]:
        """Return the values of an empty form, for the model that was asked last."""
        return {"key": uuid.uuid4(), "model": model or MODELS["swift"].name}


def _priced(user: User, size: str, name: str) -> str:
    width, height = (int(side) for side in size.split("x"))
    picture = Picture(Style.DUNES, 0, width, height)
    try:
        price = f"{user.estimate_credits_to('render', megapixels=picture.megapixels)} credits"
    except InvalidOperation:
        price = "too large"
    return f"{name}, {width} × {height} — {price}"
