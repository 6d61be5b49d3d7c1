from django.apps import AppConfig


class LifecycleConfig(AppConfig):
    name = "dashboard.lifecycle"
    label = "lifecycle"
