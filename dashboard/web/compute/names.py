"""Provider words of rented compute as people read them. Pure."""

import re

_CAPITALS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
# Words that stay in capitals when a phase is spelled out.
_ACRONYMS = {"nccl": "NCCL", "gpu": "GPU"}


def name_gpu(gpu_type: str) -> str:
    """Return ``H100 SXM`` for ``H100_SXM``, ``H100 80GB`` for ``h100-80gb``; empty stays empty."""
    return gpu_type.replace("_", " ").replace("-", " ").upper()


def spell_phase(word: str) -> str:
    """Return a phase or state in words: ``InstallingDrivers`` is ``Installing drivers``."""
    words = _CAPITALS.sub(" ", word.replace("_", " ").replace("-", " ")).lower().split()
    text = " ".join(_ACRONYMS.get(one, one) for one in words)
    return text[:1].upper() + text[1:]
