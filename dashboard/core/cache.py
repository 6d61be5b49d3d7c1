"""The shared cache, which holds counters of sign-in attempts and nothing else that matters.

A page must not fail because Redis is away: reads then miss and writes are dropped, with a log line.
Consequence, confessed: while Redis is down the sign-in lockout does not count.
"""

import logging
from typing import Any

from django.core.cache.backends.redis import RedisCache
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)


class FailOpenRedisCache(RedisCache):
    """Django's Redis cache that answers "missing" while Redis is away."""

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        try:
            return super().get(key, default, version)
        except RedisError as error:
            logger.warning("cache read failed: %s", error)
            return default

    def set(self, key: str, value: Any, *args: Any, **kwargs: Any) -> None:
        try:
            super().set(key, value, *args, **kwargs)
        except RedisError as error:
            logger.warning("cache write failed: %s", error)

    def add(self, key: str, value: Any, *args: Any, **kwargs: Any) -> bool:
        try:
            return super().add(key, value, *args, **kwargs)
        except RedisError as error:
            logger.warning("cache write failed: %s", error)
            return True

    def delete(self, key: str, version: int | None = None) -> bool:
        try:
            return super().delete(key, version)
        except RedisError as error:
            logger.warning("cache delete failed: %s", error)
            return False
