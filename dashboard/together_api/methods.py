"""Bind flows to clients: one list of calls, blocking methods on one client and awaitable ones on the other."""

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Self, TypeVar, overload

from dashboard.together_api.calls import (
    account,
    catalogue,
    chat,
    clusters,
    containers,
    fine_tunes,
    jobs,
    rl,
    uploads,
    v1,
    v2,
)
from dashboard.together_api.requests import Flow

if TYPE_CHECKING:
    from dashboard.together_api.client import AsyncTogetherClient, TogetherClient

Parameters = ParamSpec("Parameters")
ResultT = TypeVar("ResultT")


class Call(Generic[Parameters, ResultT]):
    """A flow as an attribute: `client.name(...)` runs it; typed as blocking or awaitable by the client's class."""

    def __init__(self, flow: Callable[Parameters, Flow[ResultT]]) -> None:
        self._flow = flow
        self.__doc__ = flow.__doc__
        self.__wrapped__ = flow

    @overload
    def __get__(self, client: None, owner: type) -> Self: ...
    @overload
    def __get__(self, client: "TogetherClient", owner: type) -> Callable[Parameters, ResultT]: ...
    @overload
    def __get__(
        self, client: "AsyncTogetherClient", owner: type
    ) -> Callable[Parameters, Coroutine[Any, Any, ResultT]]: ...
    def __get__(self, client: Any, owner: type) -> Any:
        if client is None:
            return self

        def run(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Any:
            return client.run(self._flow(*args, **kwargs))

        return run


class Calls:
    """One attribute per call; the docstring and the signature of each are those of the flow."""

    whoami = Call(account.whoami)
    list_projects = Call(account.list_projects)
    list_models = Call(account.list_models)
    get_billing_usage = Call(account.get_billing_usage)
    get_usage_page = Call(account.get_usage_page)
    get_metrics = Call(account.get_metrics)

    list_endpoints = Call(v2.list_endpoints)
    list_organization_endpoints = Call(v2.list_organization_endpoints)
    get_endpoint = Call(v2.get_endpoint)
    create_endpoint = Call(v2.create_endpoint)
    set_traffic_split = Call(v2.set_traffic_split)
    rename_endpoint = Call(v2.rename_endpoint)
    delete_endpoint = Call(v2.delete_endpoint)
    list_deployments = Call(v2.list_deployments)
    get_deployment = Call(v2.get_deployment)
    create_deployment = Call(v2.create_deployment)
    patch_deployment = Call(v2.patch_deployment)
    stop_deployment = Call(v2.stop_deployment)
    start_deployment = Call(v2.start_deployment)
    delete_deployment = Call(v2.delete_deployment)
    list_events = Call(v2.list_events)
    get_analytics = Call(v2.get_analytics)
    list_instance_types = Call(catalogue.list_instance_types)
    list_supported_models = Call(catalogue.list_supported_models)
    list_project_models = Call(catalogue.list_project_models)
    list_configs = Call(catalogue.list_configs)

    list_v1_endpoints = Call(v1.list_v1_endpoints)
    get_v1_endpoint = Call(v1.get_v1_endpoint)
    patch_v1_endpoint = Call(v1.patch_v1_endpoint)
    stop_v1_endpoint = Call(v1.stop_v1_endpoint)
    delete_v1_endpoint = Call(v1.delete_v1_endpoint)
    create_v1_endpoint = Call(v1.create_v1_endpoint)
    list_v1_hardware = Call(v1.list_v1_hardware)
    list_availability_zones = Call(v1.list_availability_zones)

    list_fine_tunes = Call(fine_tunes.list_fine_tunes)
    get_fine_tune = Call(fine_tunes.get_fine_tune)
    list_fine_tune_events = Call(fine_tunes.list_fine_tune_events)
    list_fine_tune_checkpoints = Call(fine_tunes.list_fine_tune_checkpoints)
    get_fine_tune_metrics = Call(fine_tunes.get_fine_tune_metrics)
    cancel_fine_tune = Call(fine_tunes.cancel_fine_tune)
    estimate_fine_tune_price = Call(fine_tunes.estimate_fine_tune_price)

    list_batches = Call(jobs.list_batches)
    get_batch = Call(jobs.get_batch)
    cancel_batch = Call(jobs.cancel_batch)
    list_evaluations = Call(jobs.list_evaluations)
    get_evaluation = Call(jobs.get_evaluation)
    list_files = Call(jobs.list_files)
    get_file = Call(jobs.get_file)

    list_v1_jobs = Call(uploads.list_v1_jobs)
    get_v1_job = Call(uploads.get_v1_job)
    upload_v1_model = Call(uploads.upload_v1_model)
    list_uploads = Call(uploads.list_uploads)
    get_upload = Call(uploads.get_upload)
    list_upload_events = Call(uploads.list_upload_events)
    create_upload = Call(uploads.create_upload)
    get_project_model = Call(uploads.get_project_model)
    create_model = Call(uploads.create_model)
    delete_model = Call(uploads.delete_model)
    list_revisions = Call(uploads.list_revisions)
    get_model_files = Call(uploads.get_model_files)

    list_clusters = Call(clusters.list_clusters)
    get_cluster = Call(clusters.get_cluster)
    update_cluster = Call(clusters.update_cluster)
    delete_cluster = Call(clusters.delete_cluster)
    list_regions = Call(clusters.list_regions)
    list_volumes = Call(clusters.list_volumes)
    get_volume = Call(clusters.get_volume)
    create_volume = Call(clusters.create_volume)
    resize_volume = Call(clusters.resize_volume)
    delete_volume = Call(clusters.delete_volume)

    list_containers = Call(containers.list_containers)
    get_container = Call(containers.get_container)
    patch_container = Call(containers.patch_container)

    list_rl_resources = Call(rl.list_rl_resources)
    get_rl_resource = Call(rl.get_rl_resource)
    list_rl_sessions = Call(rl.list_rl_sessions)
    get_rl_session = Call(rl.get_rl_session)
    stop_rl_resource = Call(rl.stop_rl_resource)
    estimate_rl_cost = Call(rl.estimate_rl_cost)

    complete_chat = Call(chat.complete_chat)
