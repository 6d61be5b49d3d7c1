"""Who a key is and what it may see (contract section 5)."""

from typing import Any

from dashboard.together_api.payloads.base import Payload, RawItem, Resource, Text, Timestamp


class ApiKeyRef(Payload):
    """SDK `whoami_api_key.WhoamiAPIKey`."""

    id: Text = ""


class OrganizationRef(Payload):
    """SDK `whoami_organization.WhoamiOrganization`."""

    id: Text = ""
    name: Text = ""


class ProjectRef(Payload):
    """SDK `whoami_project.WhoamiProject`."""

    id: Text = ""
    name: Text = ""
    slug: Text = ""


class UserRef(Payload):
    """SDK `whoami_user.WhoamiUser`."""

    id: Text = ""


class Whoami(Resource):
    """GET /v3/whoami (SDK `whoami_response.WhoamiResponse`, five variants told apart by `type`).

    The older flat body of GET /v1/whoami is turned into this shape by `from_flat`. `project` is None for keys of a
    whole organisation, `organization` None for a bare user token.
    """

    type: Text = ""
    api_key: ApiKeyRef | None = None
    organization: OrganizationRef | None = None
    project: ProjectRef | None = None
    user: UserRef | None = None

    @classmethod
    def from_flat(cls, raw: RawItem) -> "Whoami":
        """Return the identity of a flat v1 body `{api_key_id, organization_id, ..., user_id?}`."""

        def pick(prefix: str, *names: str) -> dict[str, Any] | None:
            values = {name: raw.get(f"{prefix}_{name}") for name in names}
            return values if values["id"] else None

        nested = {
            "type": "project_api_key" if raw.get("project_id") else "org_api_key",
            "api_key": pick("api_key", "id"),
            "organization": pick("organization", "id", "name"),
            "project": pick("project", "id", "name", "slug"),
            "user": pick("user", "id"),
        }
        parsed = cls.model_validate(nested)
        parsed._raw = raw
        return parsed

    @property
    def organization_id(self) -> str | None:
        """The organisation's id, None when the key names none."""
        return (self.organization.id or None) if self.organization else None

    @property
    def project_id(self) -> str | None:
        """The project's id, None for organisation-wide keys."""
        return (self.project.id or None) if self.project else None

    @property
    def api_key_id(self) -> str | None:
        """The key's id (not the key), None for user tokens."""
        return (self.api_key.id or None) if self.api_key else None


class Project(Resource):
    """Item of GET /v1/projects (SDK `project.Project`)."""

    id: Text
    name: Text = ""
    slug: Text = ""
    organization_id: Text = ""
    organization_name: Text = ""


class ModelPricing(Payload):
    """`pricing` of GET /v1/models, USD per 1 M tokens (contract 1.8); recorded bodies carry zeros for `hourly`."""

    hourly: float | None = None
    input: float | None = None
    output: float | None = None
    base: float | None = None
    finetune: float | None = None


class Model(Resource):
    """Item of GET /v1/models (OpenAPI `ModelInfo`; recorded bodies add `running`, `uuid`, `config`)."""

    id: Text
    object: Text = ""
    created: Timestamp = None
    type: Text = ""
    display_name: Text = ""
    organization: str | None = None
    link: str | None = None
    license: str | None = None
    context_length: int | None = None
    pricing: ModelPricing | None = None
