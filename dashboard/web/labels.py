"""Short words for the provider's long names. Pure; the full name always stays in a title."""

import re

# "4xnvidia-h100-80gb", "1x_nvidia_h100_80gb_sxm", "2x nvidia-h200-140gb": count, maker, type, memory.
_HARDWARE = re.compile(r"^(\d+)\s*x[\s_-]*(?:nvidia[\s_-]*|amd[\s_-]*)?([a-z]*\d+[a-z]*)", re.IGNORECASE)
_SIZES = ("B", "KiB", "MiB", "GiB", "TiB")
MULTIPLY = "\N{MULTIPLICATION SIGN}"


def shorten_hardware(name: str) -> str:
    """Return ``4× H100`` for ``4xnvidia-h100-80gb``; a name of another form as it is."""
    match = _HARDWARE.match(name)
    return f"{match[1]}{MULTIPLY} {match[2].upper()}" if match else name


def shorten_model(name: str) -> str:
    """Return the part of a model's name after its maker: ``gpt-oss-120b`` of ``openai/gpt-oss-120b``."""
    return name.rsplit("/", 1)[-1]


def count_nouns(count: int, noun: str) -> str:
    """Return ``1 replica``, ``2 replicas``, ``1,000 endpoints``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def describe_replicas(ready: int | None, desired: int | None, *, low: int | None, high: int | None) -> str:
    """Return ``2/2 ready``; bounds where the provider does not tell how many run: ``1–2 replicas``."""
    if ready is not None:
        return f"{ready}/{desired if desired is not None else ready} ready"
    if low is None and high is None:
        return ""
    low, high = low or 0, high if high is not None else (low or 0)
    return count_nouns(high, "replica") if low == high else f"{low}–{high} replicas"


def format_rate(per_minute: float) -> str:
    """Return ``212 req/min``; below ten with one decimal: ``0.4 req/min``."""
    return f"{per_minute:,.0f} req/min" if per_minute >= 10 or not per_minute else f"{per_minute:.1f} req/min"


def format_count(count: float) -> str:
    """Return a count in full below a million, else in millions: ``118,402``, ``31.6 M``."""
    return f"{count:,.0f}" if count < 1_000_000 else f"{count / 1_000_000:,.1f} M"


def format_bytes(count: int) -> str:
    """Return a size in the largest unit of 1024 that leaves a whole part: ``512 B``, ``1.5 GiB``, ``120 MiB``."""
    size, place = float(count), 0
    while size >= 1024 and place < len(_SIZES) - 1:
        size, place = size / 1024, place + 1
    digits = 0 if not place or size >= 100 or size == int(size) else 1
    return f"{size:,.{digits}f} {_SIZES[place]}"


def format_parameters(count: float) -> str:
    """Return a number of parameters as models are named: ``350 M``, ``9.7 B``, ``1.1 T``."""
    for size, unit in ((1e12, "T"), (1e9, "B"), (1e6, "M")):
        if count >= size:
            return f"{count / size:,.1f}".removesuffix(".0") + f" {unit}"
    return f"{count:,.0f}"


def format_measured(value: float) -> str:
    """Return a reading with four decimals, very small ones in powers of ten."""
    return f"{value:.1e}" if value and abs(value) < 0.001 else f"{value:,.4f}"


def describe_weights(variety: str) -> str:
    """Return what an own model is: ``full weights``, ``LoRA adapter``; another word of the provider as it is."""
    return {"default": "full weights", "adapter": "LoRA adapter", "": "not told"}.get(variety, variety)
