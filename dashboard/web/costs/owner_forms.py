"""Forms of ownership: tags, a rule, an assignment by hand, a split, a claim."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, tzinfo
from decimal import Decimal
from typing import Any

from django import forms

from billing.models import Meter, MeterKind, OwnershipRule
from billing.ownership_changes import RuleDraft
from dashboard.accounts.models import Team
from dashboard.core import periods
from dashboard.mirror.models import Project

MOST_TAGS = 50
MOST_CHARACTERS = 200
WHOLE = Decimal(100)
SINCE_NOW, SINCE_DATE, SINCE_EVER = "now", "date", "ever"


class TagsField(forms.CharField):
    """Tags, one ``key=value`` a line; the value is a dict of text to text."""

    widget = forms.Textarea

    def __init__(self, **kwargs: Any) -> None:
        defaults: dict[str, Any] = {"required": False, "label": "Tags", "help_text": "One a line: key=value."}
        super().__init__(**(defaults | kwargs))

    def prepare_value(self, value: object) -> object:
        """Return a dict as lines; what was typed stays as it is."""
        return write_tags(value) if isinstance(value, dict) else value

    def clean(self, value: Any) -> dict[str, str]:
        """Return the tags. Raises ValidationError that names the line."""
        tags: dict[str, str] = {}
        for number, line in enumerate(str(super().clean(value)).splitlines(), start=1):
            if not line.strip():
                continue
            key, separator, word = (part.strip() for part in line.partition("="))
            if not separator or not key or not word:
                raise forms.ValidationError(f"Line {number}: write key=value.")
            if max(len(key), len(word)) > MOST_CHARACTERS:
                raise forms.ValidationError(f"Line {number}: at most {MOST_CHARACTERS} characters each.")
            if key in tags:
                raise forms.ValidationError(f"Line {number}: {key} stands there twice.")
            tags[key] = word
        if len(tags) > MOST_TAGS:
            raise forms.ValidationError(f"At most {MOST_TAGS} tags.")
        return tags


def write_tags(tags: Mapping[str, str]) -> str:
    """Return tags as the field shows them."""
    return "\n".join(f"{key}={value}" for key, value in sorted(tags.items()))


class TagsForm(forms.Form):
    """The tags that people keep on a thing."""

    tags = TagsField()


class RuleForm(forms.Form):
    """A rule of ownership: conditions, and what they lead to."""

    name = forms.CharField(max_length=80, label="Name", help_text="What history calls it.")
    project = forms.ChoiceField(required=False, label="Project")
    name_pattern = forms.CharField(
        required=False,
        max_length=200,
        label="Name is like",
        help_text="A shell pattern such as prod-*; upper and lower case are one.",
    )
    creator = forms.CharField(
        required=False, max_length=200, label="Made by", help_text="As the provider names them."
    )
    kind = forms.ChoiceField(
        required=False,
        label="Kind",
        choices=[("", "any kind"), *sorted(MeterKind.choices, key=lambda one: one[1])],
    )
    team = forms.ModelChoiceField(
        Team.objects.all(), required=False, label="Team", empty_label="No team: the rule only adds tags"
    )
    cost_centre = forms.CharField(required=False, max_length=80, label="Cost centre")
    tags = TagsField()

    def __init__(self, *args: Any, rule: OwnershipRule | None = None, **kwargs: Any) -> None:
        if rule is not None:
            kwargs.setdefault("initial", _propose(rule))
        super().__init__(*args, **kwargs)
        names = dict(Project.objects.order_by("name").values_list("remote_id", "name"))
        if rule is not None and rule.project_remote_id:
            names.setdefault(rule.project_remote_id, f"{rule.project_name} (no longer mirrored)")
        field = self.fields["project"]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 - declared above
        field.choices = [("", "any project"), *names.items()]

    def clean(self) -> dict[str, Any]:
        """Check what a rule without a team may do."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if cleaned.get("team") is None and "team" not in self.errors:
            if cleaned.get("cost_centre"):
                self.add_error(
                    "cost_centre", "A cost centre needs a team: without one the rule only adds tags."
                )
            if not cleaned.get("tags") and "tags" not in self.errors:
                self.add_error("team", "Choose a team, or write tags below: as it is the rule does nothing.")
        return cleaned

    def read_draft(self) -> RuleDraft:
        """Return the rule, once valid."""
        data = self.cleaned_data
        return RuleDraft(
            name=data["name"],
            project_id=data["project"],
            name_pattern=data["name_pattern"],
            creator=data["creator"],
            kind=data["kind"],
            team=data["team"],
            cost_centre=data["cost_centre"],
            tags=data["tags"],
        )


def _propose(rule: OwnershipRule) -> dict[str, Any]:
    return {
        "name": rule.name,
        "project": rule.project_remote_id,
        "name_pattern": rule.name_pattern,
        "creator": rule.creator,
        "kind": rule.kind,
        "team": rule.team_id,
        "cost_centre": rule.cost_centre,
        "tags": rule.tags,
    }


class AssignForm(forms.Form):
    """Who owns a thing by hand, and since when."""

    team = forms.ModelChoiceField(
        Team.objects.all(), required=False, label="Team", empty_label="As the rules say"
    )
    owner = forms.CharField(
        required=False, max_length=200, label="Owner", help_text="The person who answers for it."
    )
    cost_centre = forms.CharField(required=False, max_length=80, label="Cost centre")
    tags = TagsField()
    since = forms.ChoiceField(
        label="Holds",
        initial=SINCE_NOW,
        choices=[
            (SINCE_NOW, "from now on"),
            (SINCE_DATE, "from the start of a day"),
            (SINCE_EVER, "as far back as it is metered"),
        ],
    )
    since_date = forms.DateField(
        required=False,
        label="That day",
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        help_text="Only for a day. Months that a statement closed do not change.",
    )

    def clean(self) -> dict[str, Any]:
        """Check what belongs together."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if cleaned.get("team") is None and cleaned.get("cost_centre") and "team" not in self.errors:
            self.add_error("cost_centre", "A cost centre needs a team: otherwise the rules name it.")
        lacks_day = cleaned.get("since_date") is None and "since_date" not in self.errors
        if cleaned.get("since") == SINCE_DATE and lacks_day:
            self.add_error("since_date", "Choose the day.")
        return cleaned

    def read_since(self, *, now: datetime, zone: tzinfo) -> datetime | None:
        """Return since when it holds, once valid; None = for ever."""
        if self.cleaned_data["since"] == SINCE_EVER:
            return None
        if self.cleaned_data["since"] == SINCE_NOW:
            return now
        day = self.cleaned_data["since_date"]
        return periods.reach(datetime(day.year, day.month, day.day), zone=zone)  # noqa: DTZ001 - wall time of the zone


class FixedSharesForm(forms.Form):
    """Fixed shares of a cost: one percentage per team, empty for who has none."""

    def __init__(self, *args: Any, teams: Sequence[Team], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._teams = teams
        for team in teams:
            self.fields[f"share_{team.pk}"] = forms.DecimalField(
                required=False,
                min_value=Decimal("0.01"),
                max_value=WHOLE,
                decimal_places=2,
                label=f"{team}, %",
            )

    def clean(self) -> dict[str, Any]:
        """Check that the shares make a whole."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.errors:
            total = sum(self.read_shares().values(), Decimal())
            if total != WHOLE:
                raise forms.ValidationError(f"The shares sum to {total:.2f} %; they must make 100.00 %.")
        return cleaned

    def read_shares(self) -> dict[Team, Decimal]:
        """Return the percentages of those teams that have one."""
        found = {team: self.cleaned_data.get(f"share_{team.pk}") for team in self._teams}
        return {team: part for team, part in found.items() if part}


class UsageSharesForm(forms.Form):
    """Teams that share a cost by what each of them spent otherwise."""

    teams = forms.ModelMultipleChoiceField(
        Team.objects.all(), label="Teams", widget=forms.CheckboxSelectMultiple
    )


class ClaimForm(forms.Form):
    """Things that nobody owns, and the team that takes them. `only` is the button of one row."""

    team = forms.ModelChoiceField(Team.objects.none(), label="For")
    meter = forms.ModelMultipleChoiceField(Meter.objects.none(), required=False)
    only = forms.ModelChoiceField(Meter.objects.none(), required=False)

    def __init__(self, *args: Any, teams: Any, meters: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, rows in (("team", teams), ("meter", meters), ("only", meters)):
            field = self.fields[name]
            assert isinstance(field, forms.ModelChoiceField)  # noqa: S101 - declared above
            field.queryset = rows

    def read_meters(self) -> Iterable[Meter]:
        """Return what is claimed, once valid: the one row, or the selected ones."""
        only = self.cleaned_data["only"]
        return [only] if only is not None else list(self.cleaned_data["meter"])
