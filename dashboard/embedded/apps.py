from django.apps import AppConfig


class EmbeddedConfig(AppConfig):
    name = "dashboard.embedded"
    label = "embedded"
