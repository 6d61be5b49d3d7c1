"""The forms of acts on rented compute: sizes with their price, and a new volume."""

from collections.abc import Sequence

from django import forms

from dashboard.core import money
from dashboard.mirror.models import Project
from dashboard.web.compute.cluster_facts import SizeChoice
from dashboard.web.compute.prices import UnitRate
from dashboard.web.forms import ActForm

# A slip of the finger must not order a petabyte; what a volume may hold is checked by the provider.
MOST_TIB = 500
MOST_NAME = 63


class ScaleClusterForm(ActForm):
    """Another size of a cluster, chosen among whole nodes."""

    gpus = forms.TypedChoiceField(coerce=int, label="New size", error_messages={"required": "Choose a size."})

    def __init__(self, *args: object, sizes: Sequence[SizeChoice], **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # passed through
        field = self.fields["gpus"]
        assert isinstance(field, forms.TypedChoiceField)  # noqa: S101 - declared above
        field.choices = [("", "Choose a size"), *((one.gpus, name_size(one)) for one in sizes)]


def name_size(size: SizeChoice) -> str:
    """Return a size with what it will cost: ``24 GPUs, 3 nodes: $83.76/h (+27.92)``."""
    nodes = f"{size.nodes} node{'' if size.nodes == 1 else 's'}"
    if size.rate is None:
        cost = f"{size.billed} bill, {money.PRICE_UNKNOWN}"
    else:
        cost = f"{money.format_per_hour(size.rate)} ({money.format_change(size.change or 0)})"
    return f"{size.gpus} GPUs, {nodes}: {cost}"


class ResizeVolumeForm(ActForm):
    """A larger size of a volume."""

    size_tib = forms.IntegerField(max_value=MOST_TIB, label="New size, TiB")

    def __init__(self, *args: object, present: int | None, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # passed through
        field = self.fields["size_tib"]
        least = (present or 0) + 1
        field.widget.attrs |= {"min": least, "inputmode": "numeric"}


class CreateVolumeForm(ActForm):
    """A new shared volume."""

    name = forms.CharField(max_length=MOST_NAME, label="Name")
    project = forms.TypedChoiceField(coerce=int, label="Project")
    region = forms.ChoiceField(label="Region", error_messages={"required": "Choose a region."})
    size_tib = forms.IntegerField(min_value=1, max_value=MOST_TIB, label="Size, TiB")
    is_lifecycle_independent = forms.BooleanField(
        required=False, label="Outlives the cluster that it is attached to"
    )

    def __init__(
        self, *args: object, projects: Sequence[Project], regions: Sequence[str], **kwargs: object
    ) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # passed through
        self.projects = {project.pk: project for project in projects}
        self._choose("project", [(one.pk, _name_project(one)) for one in projects])
        self._choose("region", [("", "Choose a region"), *((one, one) for one in regions)])
        if len(projects) == 1:
            self.fields["project"].widget = forms.HiddenInput()
            self.fields["project"].initial = projects[0].pk
        self.fields["name"].widget.attrs |= {"autocomplete": "off", "spellcheck": "false"}
        self.fields["size_tib"].widget.attrs["inputmode"] = "numeric"

    def _choose(self, name: str, choices: Sequence[tuple[object, str]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 - declared above
        field.choices = list(choices)

    def read_size(self) -> int | None:
        """Return the size that stands in the form, None while it is none."""
        self.is_valid()
        size = self.cleaned_data.get("size_tib")
        return size if isinstance(size, int) else None


def _name_project(project: Project) -> str:
    return f"{project.name}, {project.team.name}" if project.team else f"{project.name}, no team"


def rate_for(rate: UnitRate | None, size_tib: int | None) -> int | None:
    """Return nano-dollars per hour of a volume of that size, None while either is unknown."""
    return None if rate is None or size_tib is None else rate.nano_usd_per_hour * size_tib
