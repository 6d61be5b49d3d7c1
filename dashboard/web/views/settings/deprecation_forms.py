"""The form of an entry of the deprecation list."""

from typing import Any

from django import forms

from dashboard.mirror.deprecations import Entry
from dashboard.mirror.models import ModelDeprecation

_POSSIBLE = {"yes": True, "no": False, "": None}
_WORDS = {value: word for word, value in _POSSIBLE.items()}


class DeprecationForm(forms.Form):
    """When a model goes, what replaces it, and where that was read."""

    model = forms.CharField(max_length=200, label="Model", help_text="Its name, as deployments spell it.")
    removal_on = forms.DateField(
        label="Removed on", widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )
    replacement = forms.CharField(max_length=200, required=False, label="Replacement")
    is_dedicated_possible = forms.ChoiceField(
        required=False,
        label="On dedicated endpoints",
        choices=[("", "not told"), ("yes", "may still be served"), ("no", "may be refused")],
    )
    source = forms.CharField(
        max_length=300, label="Source", help_text="Where it was read, and when: others must be able to check."
    )

    @classmethod
    def propose(cls, row: ModelDeprecation) -> dict[str, Any]:
        """Return the present entry as the form's first values."""
        return {
            "model": row.model,
            "removal_on": row.removal_on,
            "replacement": row.replacement,
            "is_dedicated_possible": _WORDS[row.is_dedicated_possible],
            "source": row.source,
        }

    def read_entry(self) -> Entry:
        """Return the entry, once valid."""
        data = self.cleaned_data
        return Entry(
            model=data["model"],
            removal_on=data["removal_on"],
            replacement=data["replacement"],
            is_dedicated_possible=_POSSIBLE[data["is_dedicated_possible"]],
            source=data["source"],
        )
