"""Serves the few third-party files that pages need straight from node_modules, and nothing else of it."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import BaseFinder
from django.core.checks import CheckMessage, Error
from django.core.files.storage import FileSystemStorage, Storage

# Name under STATIC_URL -> file under node_modules. A source map that a listed file names must be listed too,
# else hashing (ManifestStaticFilesStorage) fails; so must what a listed style sheet loads.
FILES = {
    "vendor/htmx.org/htmx.min.js": "htmx.org/dist/htmx.min.js",
    "vendor/tabler/tabler.min.css": "@tabler/core/dist/css/tabler.min.css",
    "vendor/tabler/tabler.min.css.map": "@tabler/core/dist/css/tabler.min.css.map",
    "vendor/chart.js/chart.umd.min.js": "chart.js/dist/chart.umd.min.js",
    "vendor/chart.js/chart.umd.min.js.map": "chart.js/dist/chart.umd.min.js.map",
    "vendor/inter/inter-latin.woff2": "@fontsource-variable/inter/files/inter-latin-wght-normal.woff2",
    "vendor/inter/inter-latin-ext.woff2": "@fontsource-variable/inter/files/inter-latin-ext-wght-normal.woff2",
}


class NodeModulesFinder(BaseFinder):
    """Find exactly the files of ``FILES``; any other path under node_modules does not exist for it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.root = Path(settings.BASE_DIR) / "node_modules"
        self.storage = AllowedFiles(self.root)

    def check(self, **kwargs: Any) -> list[CheckMessage]:
        """Report what ``npm ci`` has not brought yet, by name; an image holds them collected and no packages."""
        collected = Path(settings.STATIC_ROOT)
        missing = [
            source
            for name, source in FILES.items()
            if not (self.root / source).is_file() and (settings.DEBUG or not (collected / name).is_file())
        ]
        if not missing:
            return []
        return [
            Error(
                f"{len(missing)} front-end files are missing, the first is {missing[0]}.",
                hint="Run `npm ci --ignore-scripts` (`make up` does it).",
                id="web.E001",
            )
        ]

    def find(self, path: str, find_all: bool = False, **kwargs: Any) -> Any:
        """Return the absolute path of a listed file, or an empty list when it is not ours or not there."""
        source = FILES.get(path.replace("\\", "/"))
        if source is None or not (self.root / source).is_file():
            return []
        found = str(self.root / source)
        return [found] if find_all else found

    def list(self, ignore_patterns: Iterable[str] | None) -> Iterator[tuple[str, Storage]]:
        """Yield every listed file for collectstatic; a missing one fails there by name."""
        for name in FILES:
            yield name, self.storage


class AllowedFiles(FileSystemStorage):
    """A storage whose names are the keys of ``FILES``."""

    def __init__(self, root: Path) -> None:
        super().__init__(location=str(root))

    def path(self, name: str) -> str:
        """Return where the listed file lies; KeyError for a name that is not listed."""
        return super().path(FILES[name])
