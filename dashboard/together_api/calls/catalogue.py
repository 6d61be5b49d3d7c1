"""Instance types, supported models and the models of a project (contract 3.8)."""

from typing import Literal

from dashboard.together_api.calls.reading import fetch_all
from dashboard.together_api.config import PAGE_SIZE
from dashboard.together_api.pagination import Listing
from dashboard.together_api.payloads.catalogue import InstanceType, ModelConfig, ProjectModel, SupportedModel
from dashboard.together_api.requests import ApiCall, Flow


def list_instance_types() -> Flow[Listing[InstanceType]]:
    """Return what replicas can run on, with prices per hour; one body, not paged."""
    return (yield from fetch_all(InstanceType, ApiCall(template="/v2/public/inference-instance-types")))


def list_supported_models(
    *,
    product: Literal["PRODUCT_SERVERLESS", "PRODUCT_DEDICATED", "PRODUCT_FINE_TUNING"] | None = None,
    search: str | None = None,
) -> Flow[Listing[SupportedModel]]:
    """Return the models the provider offers, with the tested hardware profiles of each."""
    call = ApiCall(
        template="/v2/supported-models", query={"product": product, "search": search, "limit": PAGE_SIZE}
    )
    return (yield from fetch_all(SupportedModel, call))


def list_project_models(project_id: str) -> Flow[Listing[ProjectModel]]:
    """Return the models that the project owns: uploads and finished fine-tunes."""
    call = ApiCall(
        template="/v2/projects/{project_id}/models",
        ids={"project_id": project_id},
        query={"limit": PAGE_SIZE},
    )
    return (yield from fetch_all(ProjectModel, call))


def list_configs(project_id: str, *, reference_model: str | None = None) -> Flow[Listing[ModelConfig]]:
    """Return the ways in which models can run, or those of one model (`projects/{project}/models/{model}`)."""
    call = ApiCall(
        template="/v2/projects/{project_id}/configs",
        ids={"project_id": project_id},
        query={"limit": PAGE_SIZE, "referenceModel": reference_model},
    )
    return (yield from fetch_all(ModelConfig, call))
