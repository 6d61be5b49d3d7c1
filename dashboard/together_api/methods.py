"""Bind flows to clients: one list of calls, blocking methods on one client and awaitable ones on the other."""

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Self, TypeVar, overload

from dashboard.together_api.calls import account, catalogue, chat, v1, v2
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

    list_v1_endpoints = Call(v1.list_v1_endpoints)
    get_v1_endpoint = Call(v1.get_v1_endpoint)
    patch_v1_endpoint = Call(v1.patch_v1_endpoint)
    stop_v1_endpoint = Call(v1.stop_v1_endpoint)
    delete_v1_endpoint = Call(v1.delete_v1_endpoint)
    create_v1_endpoint = Call(v1.create_v1_endpoint)
    list_v1_hardware = Call(v1.list_v1_hardware)
    list_availability_zones = Call(v1.list_availability_zones)

    complete_chat = Call(chat.complete_chat)
