"""The question what a fine-tune would cost: its form, and the answer in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from django import forms

from dashboard.accounts.models import User
from dashboard.accounts.visibility import project_filter
from dashboard.core import money, status
from dashboard.lifecycle import charges
from dashboard.lifecycle.models import PriceEstimate
from dashboard.mirror.models import CatalogueModel, Resource, ResourceKind
from dashboard.mirror.querysets import visible_projects
from dashboard.mirror.resource_querysets import present_resources, sort_resources, visible_resources
from dashboard.web.labels import format_bytes, format_count

# Newest files that are offered: who wants an older one opens its page.
MOST_FILES = 200
MOST_EPOCHS = 100
MOST_EVALUATIONS = 1_000
DEFAULT_RANK, MOST_RANK = 8, 256
PURPOSE = "fine-tune"


class EstimateForm(forms.Form):
    """What the provider needs to know to tell a price. Files are chosen by their row, models by name."""

    training_file = forms.TypedChoiceField(coerce=int, label="Training file")
    model = forms.CharField(
        max_length=200, label="Base model", help_text="As the provider calls it, e.g. Qwen/Qwen3-8B."
    )
    training_type = forms.ChoiceField(choices=[("Lora", "LoRA"), ("Full", "Full")], label="Type")
    lora_rank = forms.IntegerField(
        required=False, min_value=1, max_value=MOST_RANK, initial=DEFAULT_RANK, label="LoRA rank"
    )
    method = forms.ChoiceField(choices=[("sft", "SFT"), ("dpo", "DPO")], label="Method")
    epochs = forms.IntegerField(min_value=1, max_value=MOST_EPOCHS, initial=1, label="Epochs")
    validation_file = forms.TypedChoiceField(
        coerce=int, required=False, empty_value=None, label="Validation file"
    )
    evaluations = forms.IntegerField(
        required=False, min_value=0, max_value=MOST_EVALUATIONS, label="Evaluations"
    )

    def __init__(self, *args: Any, files: Sequence[Resource], models: Sequence[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.rows = {one.pk: one for one in files}
        self.models = models
        choices = [(one.pk, _name_file(one)) for one in files]
        for name, first in (("training_file", "Choose a file"), ("validation_file", "None")):
            field = self.fields[name]
            assert isinstance(field, forms.TypedChoiceField)  # noqa: S101 - declared above
            field.choices = [("", first), *choices]
        self.fields["model"].widget.attrs |= {"list": "fine-tunable", "autocomplete": "off"}

    def clean(self) -> dict[str, Any]:
        """Check that both files belong to one project: its key asks."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        training, validation = self.read_file("training_file"), self.read_file("validation_file")
        if training and validation and training.project_id != validation.project_id:
            self.add_error("validation_file", "Both files must be of one project.")
        return cleaned

    def read_file(self, name: str) -> Resource | None:
        """Return the chosen file, None when none was."""
        return self.rows.get(self.cleaned_data.get(name) or 0)

    def read_arguments(self) -> dict[str, Any]:
        """Return the question in the words of lifecycle.estimates.request_estimate, once valid."""
        wanted, validation = self.cleaned_data, self.read_file("validation_file")
        training = self.read_file("training_file")
        assert training is not None  # noqa: S101 - a required field of a valid form
        rank = wanted["lora_rank"] or DEFAULT_RANK
        is_lora = wanted["training_type"] == "Lora"
        return {
            "training_file": training.remote_id,
            "model": wanted["model"],
            "n_epochs": wanted["epochs"],
            "n_evals": wanted["evaluations"],
            "validation_file": validation.remote_id if validation else "",
            # The API wants both numbers; twice the rank is what the provider's own console sets.
            "training_type": {"type": "Lora", "lora_r": rank, "lora_alpha": 2 * rank}
            if is_lora
            else {"type": "Full"},
            "training_method": {"method": "sft", "train_on_inputs": "auto"}
            if wanted["method"] == "sft"
            else {"method": "dpo"},
        }


def list_training_files(user: User) -> list[Resource]:
    """Return the newest usable training files that the user sees. One query."""
    files = present_resources(visible_resources(user, (ResourceKind.FILE,)))
    usable = files.filter(variety=PURPOSE, status=status.AVAILABLE.value)
    return list(sort_resources(usable, "-created")[:MOST_FILES])


def list_trainable_models(user: User) -> list[str]:
    """Return the names of models that the catalogue says can be trained. One query."""
    connections = visible_projects(user).values("connection_id")
    rows = CatalogueModel.objects.filter(
        is_fine_tunable=True, absent_since=None, connection_id__in=connections
    )
    return list(rows.order_by("name").values_list("name", flat=True).distinct())


def _name_file(file: Resource) -> str:
    size = f", {format_bytes(file.size_bytes)}" if file.size_bytes is not None else ""
    return f"{file.name}{size}"


_REASONS = {
    "multimodal_dataset": "The file holds images; the provider estimates text only.",
    "train_file_not_validated": "The provider has not checked the training file yet.",
    "eval_file_not_validated": "The provider has not checked the validation file yet.",
    "train_file_invalid": "The provider's check found the training file not valid.",
    "eval_file_invalid": "The provider's check found the validation file not valid.",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """An estimate in words. `tone` "quiet" while it is asked."""

    estimate: PriceEstimate
    tone: Literal["quiet", "done", "warn", "fail"]
    lead: str
    text: str

    @property
    def tokens(self) -> tuple[str, str]:
        """Return training and evaluation tokens in words."""
        return format_count(self.estimate.train_tokens or 0), format_count(self.estimate.eval_tokens or 0)

    @property
    def is_pending(self) -> bool:
        """True until a worker has brought an answer."""
        return self.estimate.state == PriceEstimate.State.PENDING


def find_estimate(user: User, public_id: UUID) -> PriceEstimate | None:
    """Return the question if the user sees its project. One query."""
    rows = PriceEstimate.objects.filter(project_filter(user, path="project__"))
    return rows.filter(public_id=public_id).first()


def describe_answer(estimate: PriceEstimate) -> Answer:
    """Return what the provider said, or why it did not. No query."""
    if estimate.state == PriceEstimate.State.PENDING:
        return Answer(estimate, "quiet", "Asking the provider.", "Nothing is started and nothing is charged.")
    if estimate.state == PriceEstimate.State.FAILED:
        return Answer(estimate, "fail", "No answer.", estimate.reason)
    if estimate.nano_usd is None:
        reason = _REASONS.get(estimate.reason, estimate.reason or "It gives no reason.")
        return Answer(estimate, "warn", "The provider gives no estimate.", reason)
    lead = f"About {money.format_dollars(estimate.nano_usd)}."
    least = money.format_dollars(charges.FINE_TUNE_MINIMUM)
    text = f"Any fine-tune costs at least {least}." if estimate.nano_usd < charges.FINE_TUNE_MINIMUM else ""
    if estimate.is_allowed is False:
        limit = estimate.limit_nano_usd
        most = f" It may spend {money.format_dollars(limit)}." if limit is not None else ""
        return Answer(estimate, "warn", lead, f"{text} The account may not spend that.{most}".strip())
    return Answer(estimate, "done", lead, text or "The provider's own estimate; what is trained is charged.")
