"""Forms of models: an import from elsewhere."""

from collections.abc import Sequence
from typing import Any

from django import forms

from dashboard.mirror.models import Project
from dashboard.web.forms import ActForm

MOST_ADDRESS = 4_000
MOST_TOKEN = 500


class AddressInput(forms.TextInput):
    """An address, printed back only when it opens nothing by itself: a signed one has its key behind the "?"."""

    def format_value(self, value: Any) -> str | None:
        """Return what is printed, None for nothing."""
        return None if value and "?" in str(value) else super().format_value(value)


class UploadForm(ActForm):
    """Where the weights lie, what they are, and what the model is called here."""

    project = forms.TypedChoiceField(coerce=int, label="Project")
    model_name = forms.CharField(max_length=63, label="Name of the model")
    model_type = forms.ChoiceField(
        label="Weights", choices=[("model", "A whole model"), ("adapter", "A LoRA adapter")]
    )
    base_model = forms.CharField(max_length=200, label="Base model")
    remote_url = forms.CharField(
        max_length=MOST_ADDRESS,
        label="Source",
        widget=AddressInput(attrs={"autocomplete": "off", "spellcheck": "false", "data-1p-ignore": True}),
    )
    token = forms.CharField(
        required=False,
        max_length=MOST_TOKEN,
        label="Access token",
        widget=forms.PasswordInput(
            render_value=False, attrs={"autocomplete": "off", "spellcheck": "false", "data-1p-ignore": True}
        ),
    )
    description = forms.CharField(required=False, max_length=500, label="Description")

    def __init__(self, *args: object, projects: Sequence[Project], **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # passed through
        field = self.fields["project"]
        assert isinstance(field, forms.TypedChoiceField)  # noqa: S101 - declared above
        field.choices = [(one.pk, f"{one.name}, {one.team}" if one.team else one.name) for one in projects]
        self.fields["base_model"].widget.attrs |= {"list": "base-models", "autocomplete": "off"}

    def arguments(self) -> dict[str, Any]:
        """Return what the import needs beside project and base, once valid."""
        names = ("model_name", "model_type", "remote_url", "token", "description")
        return {name: self.cleaned_data[name] for name in names}
