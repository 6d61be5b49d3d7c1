"""Pages under Costs. Every name stands in accounts/permissions.py, or it is refused."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
