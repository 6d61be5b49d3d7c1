"""Log lines: one line an event, secrets blanked."""

import logging
import re

# Keys of Together AI are long tokens after "Bearer"; ours are named by their field.
_SECRET = re.compile(
    r"(?i)(bearer\s+|authorization['\"]?\s*[:=]\s*['\"]?(?:bearer\s+)?|(?:api[_-]?key|password|secret|token)['\"]?\s*[:=]\s*['\"]?)"
    r"([^\s'\",;]{6,})"
)


def redact(text: str) -> str:
    """Return the text with anything that looks like a credential replaced by ``[redacted]``."""
    return _SECRET.sub(lambda match: f"{match.group(1)}[redacted]", text)


class RedactSecrets(logging.Filter):
    """Blank credentials in the finished message, whoever logged it."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        cleaned = redact(message)
        if cleaned != message:
            record.msg, record.args = cleaned, ()
        return True


class LineFormatter(logging.Formatter):
    """Print ``time level logger message``; line breaks inside are escaped so that no input forges a line."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s", "%Y-%m-%dT%H:%M:%S%z")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name is logging's
        line = super().formatMessage(record).replace("\r", "\\r").replace("\n", "\\n")
        # Django puts the request on its own records: the id is what an error page shows to people.
        request_id = getattr(getattr(getattr(record, "request", None), "context", None), "request_id", "")
        return f"{line} request={request_id}" if request_id else line

    def formatException(self, ei: object) -> str:  # noqa: N802 - the name is logging's
        return redact(super().formatException(ei))  # type: ignore[arg-type]
