"""Money as text: integer nano-dollars in, display strings out. Pure, and the only place that rounds.

Rules of the design language, "Numbers": cents for what is metered, whole dollars for forecasts and axes, four
decimals for one message; thousands comma, true minus, en dash for ranges. An unknown price is never a number.
"""

from decimal import ROUND_HALF_UP, Decimal

NANO_PER_DOLLAR = 1_000_000_000
MINUTES_PER_HOUR = 60
# 365 x 24 / 12: "per month at this rate" is a comparison, not a bill; a real month is metered.
HOURS_PER_MONTH = 730

MINUS = "\N{MINUS SIGN}"
EN_DASH = "\N{EN DASH}"
PRICE_UNKNOWN = "price unknown"

Nano = int | Decimal


def round_dollars(nano: Nano, *, places: int = 2) -> Decimal:
    """Return nano-dollars as dollars with ``places`` decimals, half away from zero."""
    return (Decimal(nano) / NANO_PER_DOLLAR).quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)


def format_amount(nano: Nano, *, places: int = 2) -> str:
    """Return ``nano`` without a currency sign, for table cells whose head names it: ``1,459.12``.

    What is not zero never prints as zero: below half a cent it is ``<0.01``.
    """
    dollars = round_dollars(nano, places=places)
    if not dollars and nano:
        return f"{MINUS if nano < 0 else ''}<{Decimal(1).scaleb(-places):f}"
    return f"{MINUS if dollars < 0 else ''}{abs(dollars):,f}"


def format_dollars(nano: Nano, *, places: int = 2) -> str:
    """Return ``nano`` with its currency, for sentences and cards: ``$10.80``, ``−$3.20``, ``<$0.01``."""
    text = format_amount(nano, places=places)
    sign = text[0] if text[0] == MINUS else ""
    below = "<" if "<" in text else ""
    return f"{sign}{below}${text.lstrip(MINUS + '<')}"


def format_range(low: Nano, high: Nano, *, places: int = 2, currency: bool = False) -> str:
    """Return one number when both bounds print alike, else ``5.40–10.80`` (``$5.40–10.80`` with currency)."""
    low_text, high_text = format_amount(low, places=places), format_amount(high, places=places)
    first = format_dollars(low, places=places) if currency else low_text
    return first if low_text == high_text else f"{first}{EN_DASH}{high_text}"


def format_change(nano: Nano, *, places: int = 2) -> str:
    """Return a signed amount: ``+21.60``, ``−10.80``, ``0.00``."""
    text = format_amount(nano, places=places)
    return f"+{text}" if nano > 0 else text


def format_per_hour(low: Nano, high: Nano | None = None) -> str:
    """Return a rate for sentences: ``$10.80/h``, or ``$5.40–10.80/h`` when the bounds differ."""
    return f"{format_range(low, low if high is None else high, currency=True)}/h"


def per_minute(nano_per_hour: Nano) -> Decimal:
    """Return nano-dollars per minute, unrounded."""
    return Decimal(nano_per_hour) / MINUTES_PER_HOUR


def per_month(nano_per_hour: Nano) -> Decimal:
    """Return nano-dollars per month of 730 h at this rate."""
    return Decimal(nano_per_hour) * HOURS_PER_MONTH
