"""The forms of Settings. Each names its fields: what else is posted is ignored."""

from django import forms

from dashboard.accounts.models import Connection, Team, User
from dashboard.accounts.roles import Role

# The provider documents no length; keys seen are under 100 characters. A pasted file is refused.
MAX_KEY_CHARACTERS = 500


def _key_field() -> forms.CharField:
    return forms.CharField(
        label="API key",
        max_length=MAX_KEY_CHARACTERS,
        # Never rendered back, not even after an error.
        widget=forms.PasswordInput(
            render_value=False, attrs={"autocomplete": "off", "spellcheck": "false", "data-1p-ignore": True}
        ),
        help_text="Stored encrypted. Only its last four characters are ever shown again.",
    )


def _teams_field() -> forms.ModelMultipleChoiceField:
    return forms.ModelMultipleChoiceField(
        label="Teams",
        queryset=Team.objects.all(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )


class ConnectionForm(forms.Form):
    """A new connection."""

    name = forms.CharField(
        max_length=Connection._meta.get_field("name").max_length, help_text="As you want to see it in lists."
    )
    api_key = _key_field()


class ConnectionNameForm(forms.Form):
    """Another name for a connection."""

    name = forms.CharField(max_length=Connection._meta.get_field("name").max_length)


class KeyForm(forms.Form):
    """Another key for a connection."""

    api_key = _key_field()


class InviteForm(forms.Form):
    """Somebody new."""

    email = forms.EmailField(label="E-mail address")
    name = forms.CharField(max_length=User._meta.get_field("name").max_length, required=False)
    role = forms.ChoiceField(choices=Role.choices, initial=Role.VIEWER)
    teams = _teams_field()


class UserForm(forms.Form):
    """Name, role and teams of somebody known."""

    name = forms.CharField(max_length=User._meta.get_field("name").max_length, required=False)
    role = forms.ChoiceField(choices=Role.choices)
    teams = _teams_field()


class OwnNameForm(forms.Form):
    """The own name."""

    name = forms.CharField(max_length=User._meta.get_field("name").max_length)


class TeamNameForm(forms.Form):
    """A new team."""

    name = forms.CharField(label="Name", max_length=Team._meta.get_field("name").max_length)


class TeamForm(forms.Form):
    """Name and people of a team."""

    name = forms.CharField(max_length=Team._meta.get_field("name").max_length)
    people = forms.ModelMultipleChoiceField(
        queryset=User.objects.order_by("name", "email"), required=False, widget=forms.CheckboxSelectMultiple
    )


class ProjectTeamForm(forms.Form):
    """Which team owns a project; none is allowed."""

    team = forms.ModelChoiceField(queryset=Team.objects.all(), required=False, empty_label="No team")
