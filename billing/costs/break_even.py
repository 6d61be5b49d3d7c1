"""What a million tokens cost on an endpoint, and from which traffic on it is cheaper than serverless. Pure.

All of it holds for the mix of input and output that was seen: serverless prices differ between the two.
"""

from dataclasses import dataclass
from decimal import Decimal

from billing.amounts import Cost

TOKENS_PER_PRICE = 1_000_000


@dataclass(frozen=True, slots=True)
class Traffic:
    """What was served in a period, as far as it is known."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True)
class TokenPrice:
    """Serverless prices, nano-dollars per million tokens."""

    input_nano_usd: int
    output_nano_usd: int


@dataclass(frozen=True, slots=True)
class UnitCost:
    """What an endpoint's tokens cost over the time of which the traffic is known.

    `total` is the cost of the whole period and `known` the part of it whose traffic is known. Ranges are
    (low, high), nano-dollars per million tokens; None where no token was seen, or where the cost is not told in full.
    """

    total: Cost
    known: Cost
    traffic: Traffic

    @property
    def all_in(self) -> tuple[Decimal, Decimal] | None:
        """Cost per million tokens with what was paid while idle."""
        return self._per_million(self.known.low, self.known.high)

    @property
    def busy(self) -> tuple[Decimal, Decimal] | None:
        """Cost per million tokens of the time in which there were requests."""
        return self._per_million(self.known.low - self.known.idle_low, self.known.high - self.known.idle_high)

    @property
    def known_percent(self) -> int | None:
        """How much of the cost the traffic is known for, rounded down; None of nothing."""
        return self.known.high * 100 // self.total.high if self.total.high else None

    def _per_million(self, low: int, high: int) -> tuple[Decimal, Decimal] | None:
        if not self.traffic.tokens or not self.known.is_complete or not high:
            return None
        nano = Cost(low * TOKENS_PER_PRICE, high * TOKENS_PER_PRICE)
        return nano.nano_low / self.traffic.tokens, nano.nano_high / self.traffic.tokens


@dataclass(frozen=True, slots=True)
class BreakEven:
    """From so many tokens (and requests, None: none were seen) an hour on, the endpoint is cheaper than serverless."""

    tokens_per_hour: Decimal
    requests_per_hour: Decimal | None
    serverless_nano_per_million: Decimal


def price_serverless(traffic: Traffic, price: TokenPrice) -> Decimal:
    """Return what the traffic costs serverless, in nano-dollars."""
    nano = traffic.input_tokens * price.input_nano_usd + traffic.output_tokens * price.output_nano_usd
    return Decimal(nano) / TOKENS_PER_PRICE


def break_even(*, nano_per_hour: int, traffic: Traffic, price: TokenPrice) -> BreakEven | None:
    """Return where an endpoint that burns `nano_per_hour` gets cheaper than serverless.

    None where no token was seen (the mix is not known) or serverless is free. It says nothing about whether the
    endpoint can serve as much.
    """
    serverless = price_serverless(traffic, price)
    if not serverless:
        return None
    hours = Decimal(nano_per_hour) / serverless
    return BreakEven(
        tokens_per_hour=traffic.tokens * hours,
        requests_per_hour=traffic.requests * hours if traffic.requests else None,
        serverless_nano_per_million=serverless * TOKENS_PER_PRICE / traffic.tokens,
    )
