"""The four roles. What each may do stands in permissions.py."""

from django.db import models


class Role(models.TextChoices):
    VIEWER = "viewer", "Viewer"
    OPERATOR = "operator", "Operator"
    FINANCE = "finance", "Finance"
    ADMIN = "admin", "Admin"
