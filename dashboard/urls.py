"""Every route of the product; the permission table in accounts/permissions.py must name each of them."""

from django.urls import include, path

urlpatterns = [
    path("", include("dashboard.accounts.urls")),
    path("", include("dashboard.web.urls")),
]

handler400 = "dashboard.web.views.errors.bad_request"
handler403 = "dashboard.web.views.errors.permission_denied"
handler404 = "dashboard.web.views.errors.page_not_found"
handler500 = "dashboard.web.views.errors.server_error"
