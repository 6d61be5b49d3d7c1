"""The pages. Every name stands in accounts/permissions.py, or it is refused."""

from django.conf import settings
from django.urls import include, path, register_converter

from dashboard.web import live
from dashboard.web.resources import detail as resource_detail
from dashboard.web.resources.addresses import JobKind
from dashboard.web.views import (
    actions,
    activity,
    changes,
    clusters,
    compute_acts,
    containers,
    deploy,
    endpoint,
    endpoints,
    estimates,
    files,
    find,
    job,
    job_acts,
    jobs,
    model_acts,
    models,
    overview,
    reference,
    rl,
    volume_acts,
    volumes,
)
from dashboard.web.views import health as health_probe
from dashboard.web.views.settings import connections, deprecations, health, teams, users, you

register_converter(JobKind, "job_kind")

settings_patterns = [
    path("", you.show_start, name="settings"),
    path("you/", you.show_you, name="settings_you"),
    path("you/sessions/end/", you.end_other_sessions, name="settings_sessions_end"),
    path("connections/", connections.list_connections, name="settings_connections"),
    path("connections/add/", connections.add_connection, name="settings_connection_add"),
    path("connections/<int:pk>/", connections.show_connection, name="settings_connection"),
    path("connections/<int:pk>/rename/", connections.rename_connection, name="settings_connection_rename"),
    path("connections/<int:pk>/key/", connections.replace_key, name="settings_connection_replace_key"),
    path("connections/<int:pk>/test/", connections.test_connection, name="settings_connection_test"),
    path("connections/<int:pk>/enable/", connections.enable_connection, name="settings_connection_enable"),
    path("connections/<int:pk>/disable/", connections.disable_connection, name="settings_connection_disable"),
    path("connections/<int:pk>/delete/", connections.delete_connection, name="settings_connection_delete"),
    path("users/", users.list_users, name="settings_users"),
    path("users/invite/", users.invite_user, name="settings_user_invite"),
    path("users/<int:pk>/", users.change_user, name="settings_user"),
    path("users/<int:pk>/link/", users.make_link, name="settings_user_link"),
    path("users/<int:pk>/activate/", users.activate_user, name="settings_user_activate"),
    path("users/<int:pk>/deactivate/", users.deactivate_user, name="settings_user_deactivate"),
    path("teams/", teams.list_teams, name="settings_teams"),
    path("teams/from-projects/", teams.create_from_projects, name="settings_teams_from_projects"),
    path("teams/<int:pk>/", teams.change_team, name="settings_team"),
    path("teams/<int:pk>/delete/", teams.delete_team, name="settings_team_delete"),
    path("projects/<int:pk>/team/", teams.assign_project, name="settings_project_team"),
    path("deprecations/", deprecations.list_deprecations, name="settings_deprecations"),
    path("deprecations/<int:pk>/", deprecations.change_deprecation, name="settings_deprecation"),
    path(
        "deprecations/<int:pk>/remove/", deprecations.remove_deprecation, name="settings_deprecation_remove"
    ),
    path("health/", health.show_health, name="settings_health"),
]

urlpatterns = [
    path("", overview.show_overview, name="overview"),
    path("healthz", health_probe.show_healthz, name="healthz"),
    path("live/", live.stream_changes, name="live"),
    path("notices/", overview.show_notices, name="notices"),
    path("meter/", overview.show_meter, name="burn_meter"),
    path("find/", find.find, name="find"),
    path("endpoints/", endpoints.list_endpoints, name="endpoints"),
    path("endpoints/stop/", actions.stop_endpoints, name="endpoints_stop"),
    path("endpoints/<int:pk>/", endpoint.show_endpoint, name="endpoint"),
    path("endpoints/<int:pk>/events/", endpoint.list_events, name="endpoint_events"),
    path("endpoints/<int:pk>/raw/", endpoint.show_raw, name="endpoint_raw"),
    path("endpoints/<int:pk>/stop/", actions.stop_endpoint, name="endpoint_stop"),
    path("endpoints/<int:pk>/start/", actions.start_endpoint, name="endpoint_start"),
    path("endpoints/<int:pk>/scale/", actions.scale_endpoint, name="endpoint_scale"),
    path("endpoints/<int:pk>/delete/", actions.delete_endpoint, name="endpoint_delete"),
    path("endpoints/<int:pk>/settings/", changes.configure_endpoint, name="endpoint_configure"),
    path("endpoints/<int:pk>/split/", changes.split_endpoint, name="endpoint_split"),
    path("deploy/", deploy.deploy, name="deploy"),
    path("models/", models.list_models, name="models"),
    path("models/catalogue/", models.list_catalogue, name="models_catalogue"),
    path("models/catalogue/<int:pk>/", models.show_offered, name="model_offered"),
    path("models/deprecations/", models.list_deprecations, name="models_deprecations"),
    path("models/upload/", model_acts.upload_model, name="model_upload"),
    path("models/<int:pk>/", models.show_model, name="model"),
    path("models/<int:pk>/delete/", model_acts.delete_model, name="model_delete"),
    path("jobs/", jobs.list_jobs, name="jobs"),
    path("jobs/estimate/", estimates.ask_price, name="job_estimate"),
    path("jobs/estimate/<uuid:public_id>/", estimates.show_answer, name="job_estimate_answer"),
    path("jobs/<job_kind:kind>/<int:pk>/", job.show_job, name="job"),
    path("jobs/<job_kind:kind>/<int:pk>/cancel/", job_acts.cancel_job, name="job_cancel"),
    path("files/", files.list_files, name="files"),
    path("files/<int:pk>/", files.show_file, name="file"),
    path("clusters/", clusters.list_clusters, name="clusters"),
    path("clusters/<int:pk>/", clusters.show_cluster, name="cluster"),
    path("clusters/<int:pk>/scale/", compute_acts.scale_cluster, name="cluster_scale"),
    path("clusters/<int:pk>/delete/", compute_acts.delete_cluster, name="cluster_delete"),
    path("volumes/", volumes.list_volumes, name="volumes"),
    path("volumes/new/", volume_acts.create_volume, name="volume_create"),
    path("volumes/<int:pk>/", volumes.show_volume, name="volume"),
    path("volumes/<int:pk>/resize/", volume_acts.resize_volume, name="volume_resize"),
    path("volumes/<int:pk>/delete/", volume_acts.delete_volume, name="volume_delete"),
    path("containers/", containers.list_containers, name="containers"),
    path("containers/<int:pk>/", containers.show_container, name="container"),
    path("containers/<int:pk>/stop/", compute_acts.stop_container, name="container_stop"),
    path("rl/", rl.list_rl, name="rl"),
    path("rl/resources/<int:pk>/", rl.show_rl_resource, name="rl_resource"),
    path("rl/resources/<int:pk>/stop/", compute_acts.stop_rl, name="rl_stop"),
    path("rl/sessions/<int:pk>/", rl.show_rl_session, name="rl_session"),
    path("resources/<int:pk>/events/", resource_detail.list_events, name="resource_events"),
    path("resources/<int:pk>/raw/", resource_detail.show_raw, name="resource_raw"),
    path("actions/<uuid:public_id>/", actions.show_action, name="action"),
    path("actions/<uuid:public_id>/again/", actions.send_again, name="action_send_again"),
    path("actions/<uuid:public_id>/cancel/", actions.cancel_action, name="action_cancel"),
    path("activity/", activity.show_activity, name="activity"),
    path("settings/", include(settings_patterns)),
]

if settings.DEBUG:
    urlpatterns.append(path("reference/", reference.show_reference, name="reference"))
