"""Prices of fine-tuning in USD per million tokens.

No official rate card was found. The figures are a third party's (api-evangelist, May 2026, low trust; contract 14);
the class above 100 billion parameters is missing there and invented.
"""

from fractions import Fraction
from typing import Final

NANO: Final = 1_000_000_000
#: Documented: a job costs at least this (USD).
MINIMUM_USD: Final = Fraction(4)
#: Up to this many billion parameters -> (LoRA sft, full sft, LoRA dpo, full dpo).
_CLASSES: Final = (
    (16, ("0.48", "0.54", "1.20", "1.35")),
    (69, ("1.50", "1.65", "3.75", "4.12")),
    (100, ("2.90", "3.20", "7.25", "8.00")),
    (10_000, ("5.00", "6.00", "12.50", "15.00")),
)


def rate_per_million(*, billions: float, is_full: bool, is_dpo: bool) -> Fraction:
    """Return USD per million tokens of a size class, type and method."""
    prices = next(prices for limit, prices in _CLASSES if billions <= limit)
    return Fraction(prices[2 * is_dpo + is_full])


def cost_of(tokens: int, rate: Fraction) -> Fraction:
    """Return USD for tokens, without the minimum."""
    return tokens * rate / 1_000_000


def price_of(tokens: int, rate: Fraction) -> Fraction:
    """Return USD for a job that was trained on so many tokens, at least the minimum."""
    return max(MINIMUM_USD, cost_of(tokens, rate))


def to_nano(usd: Fraction) -> int:
    """Return whole nano-dollars, the unit of `total_price`."""
    return round(usd * NANO)
