"""What a threshold would stop if it were reached right now: how many, which, and what they burn."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from billing.budget_rules import STOPPING, Action
from billing.burn import Burn, add_burns
from billing.models import Budget, Meter
from dashboard.accounts.models import User
from dashboard.accounts.visibility import project_filter
from dashboard.lifecycle.budget_acts import find_targets
from dashboard.mirror.models import Deployment
from dashboard.web.targets import burn_of_deployment

# As many are named; the others are counted.
MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Effect:
    """What an act would stop now of what the person sees."""

    names: tuple[str, ...]
    count: int
    burn: Burn

    @property
    def more(self) -> int:
        """How many are not named."""
        return self.count - len(self.names)


def measure_effects(
    budget: Budget,
    actions: Iterable[Action],
    *,
    user: User,
    now: datetime,
    exempt: Sequence[Meter] | None = None,
) -> dict[str, Effect]:
    """Return the effect of each stopping action by its value. One query each; `exempt` None = as it was saved."""
    visible = project_filter(user, path="endpoint__project__")
    return {
        action.value: _measure(find_targets(budget, action, now=now, exempt=exempt).filter(visible))
        for action in sorted(STOPPING & set(actions))
    }


def _measure(targets: Iterable[Deployment]) -> Effect:
    found = sorted(targets, key=lambda one: (-_burn(one).high, one.endpoint.display_name, one.pk))
    return Effect(
        names=tuple(_name(one) for one in found[:MOST_NAMED]),
        count=len(found),
        burn=add_burns(_burn(one) for one in found),
    )


def _burn(deployment: Deployment) -> Burn:
    return burn_of_deployment(deployment)


def _name(deployment: Deployment) -> str:
    name = deployment.endpoint.display_name
    return name if deployment.name in ("", name, deployment.endpoint.name) else f"{name}, {deployment.name}"
