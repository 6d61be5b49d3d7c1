"""Jobs: fine-tunes, batches, evaluations and uploads in one list."""

from django.http import HttpRequest, HttpResponse

from dashboard.core import resource_states, status
from dashboard.mirror.models import ResourceKind, SyncRun
from dashboard.web.resources.listing import OWNER_FACET, TEAM_FACET, Column, ListSpec, show_list
from dashboard.web.resources.totals import StatusChoice

Run = SyncRun.Resource
KINDS = tuple(ResourceKind(kind) for kind in resource_states.JOB_KINDS)

CHOICES = (
    StatusChoice("running", "Running", (status.WORKING.value,)),
    StatusChoice("queued", "Queued", (status.QUEUED.value,)),
    StatusChoice("finishing", "Finishing", (status.FINISHING.value,), is_standing=False),
    StatusChoice("failed", "Failed", (status.FAILED.value, status.EXPIRED.value)),
    StatusChoice("completed", "Completed", (status.COMPLETED.value,)),
    StatusChoice("cancelling", "Cancelling", (status.CANCELLING.value,), is_standing=False),
    StatusChoice("cancelled", "Cancelled", (status.CANCELLED.value,), is_standing=False),
    StatusChoice("unknown", "Unknown", (status.UNKNOWN.value,), is_standing=False),
)
SPEC = ListSpec(
    route="jobs",
    title="Jobs",
    noun="job",
    pretitle="Training, batches, evaluations, uploads",
    placeholder="Name, id, model, owner or team",
    icon="job",
    kinds=KINDS,
    groups=(Run.FINE_TUNES, Run.BATCHES, Run.EVALUATIONS, Run.UPLOADS),
    columns=(
        Column("Job", "resources/cells/_name.html", sort="name", place="name"),
        Column("State", "resources/cells/_state.html", width="ui-w-140", sort="status", place="state"),
        Column("Progress", "resources/cells/_progress.html", width="ui-w-236", sort="progress", place="ev"),
        Column("Model", "resources/cells/_model.html", width="ui-w-140", sort="model", css="ui-col-hw"),
        Column("Owner", "resources/cells/_owner.html", width="ui-w-140", sort="owner", css="ui-col-spark"),
        Column(
            "Price, $",
            "resources/cells/_price.html",
            width="ui-w-110",
            sort="price",
            is_number=True,
            place="price",
        ),
        Column("Created", "resources/cells/_created.html", width="ui-w-90", sort="created"),
    ),
    choices=CHOICES,
    facets=(TEAM_FACET, OWNER_FACET),
    kind_chips={
        ResourceKind.FINE_TUNE: "Fine-tunes",
        ResourceKind.BATCH: "Batches",
        ResourceKind.EVALUATION: "Evaluations",
        ResourceKind.UPLOAD: "Uploads",
        ResourceKind.UPLOAD_V1: "Uploads, v1",
    },
    page_template="resources/jobs/page.html",
    empty_text="The organisation has no fine-tune, batch, evaluation or upload, or your teams own none.",
    footnote="Prices are the provider's own totals; batches and evaluations are billed by tokens and tell none.",
)


def list_jobs(request: HttpRequest) -> HttpResponse:
    """Show the list, or its live part."""
    return show_list(request, SPEC)
