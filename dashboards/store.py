"""Where the outbox and the acknowledgements are kept: entries by key, changed together or not at all.

One board keeps them in SQLite in its data folder. Several boards share them in Redis, beside their lease, so that the
board that takes over goes on where the other one was killed. Whoever delivers takes a fence first: a board that was
stopped past its lease and wakes up cannot write over what its successor has noted.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import redis.asyncio
from redis.exceptions import RedisError

from streams.errors import UnavailableError

if TYPE_CHECKING:
    from streams.board import Board

_T = TypeVar("_T")

Entries = dict[str, bytes]

REDIS_TIMEOUT_S: Final = 5.0


class StoreError(UnavailableError):
    """The store cannot be read or written now."""


class StoreTakenError(StoreError):
    """Another board has taken the store over since: what this one remembers is out of date."""


class Store(Protocol):
    """Entries of one kind; every method raises StoreError when the store cannot do it."""

    async def read(self) -> Entries:
        """Return everything."""
        ...

    async def version(self) -> int:
        """Return a number that changes with every write."""
        ...

    async def take(self) -> int:
        """Take the store over and return the fence to write with; older fences are refused from now on."""
        ...

    async def write(self, changes: Mapping[str, bytes | None], *, fence: int | None = None) -> None:
        """Put or remove (None) entries, all or none; durable on return as far as the store's own settings go.

        Raises:
            StoreTakenError: the fence is not the last one that was taken.
        """
        ...

    async def close(self) -> None:
        """Let go of the connection."""
        ...


class SqliteStore:
    """A store in one SQLite file.

    Args:
        path: of the file; its folder is made.
        name: of this kind of entries in it.
    """

    def __init__(self, path: Path, name: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._name = name
        self._guard = threading.Lock()
        try:
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            # FULL: a page that was written down survives the machine, not only the process.
            self._db.executescript(
                "PRAGMA busy_timeout=5000; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                "CREATE TABLE IF NOT EXISTS entries"
                " (store TEXT, key TEXT, value BLOB, PRIMARY KEY (store, key)) WITHOUT ROWID;"
                "CREATE TABLE IF NOT EXISTS stores (store TEXT PRIMARY KEY, fence INTEGER, version INTEGER);"
            )
            self._db.execute("INSERT OR IGNORE INTO stores VALUES (?, 0, 0)", (name,))
        except sqlite3.Error as error:
            what = f"{path} cannot be opened: {error}."
            raise StoreError(what, mend="Check board.data_dir and its permissions.") from error

    async def read(self) -> Entries:
        """Return everything."""
        return await self._alone(
            lambda: dict(self._db.execute("SELECT key, value FROM entries WHERE store = ?", (self._name,)))
        )

    async def version(self) -> int:
        """Return a number that changes with every write."""
        return await self._alone(lambda: self._number("version"))

    async def take(self) -> int:
        """Take the store over."""

        def work() -> int:
            self._db.execute("UPDATE stores SET fence = fence + 1 WHERE store = ?", (self._name,))
            return self._number("fence")

        return await self._alone(work)

    async def write(self, changes: Mapping[str, bytes | None], *, fence: int | None = None) -> None:
        """Put or remove entries in one transaction."""

        def work() -> None:
            if fence is not None and self._number("fence") != fence:
                what = "The outbox was taken over by another board on the same data folder."
                raise StoreTakenError(
                    what, mend="Give each board its own board.data_dir, or a board.redis_url."
                )
            self._db.executemany(
                "INSERT OR REPLACE INTO entries VALUES (?, ?, ?)",
                [(self._name, key, value) for key, value in changes.items() if value is not None],
            )
            self._db.executemany(
                "DELETE FROM entries WHERE store = ? AND key = ?",
                [(self._name, key) for key, value in changes.items() if value is None],
            )
            self._db.execute("UPDATE stores SET version = version + 1 WHERE store = ?", (self._name,))

        await self._alone(work)

    async def close(self) -> None:
        """Close the file."""
        with self._guard:
            self._db.close()

    def _number(self, column: str) -> int:
        query = {
            "fence": "SELECT fence FROM stores WHERE store = ?",
            "version": "SELECT version FROM stores WHERE store = ?",
        }[column]
        return int(self._db.execute(query, (self._name,)).fetchone()[0])

    async def _alone(self, work: Callable[[], _T]) -> _T:
        # Off the loop, because a commit waits for the disk.
        return await asyncio.to_thread(self._transact, work)

    def _transact(self, work: Callable[[], _T]) -> _T:
        with self._guard:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    result = work()
                except BaseException:
                    self._db.execute("ROLLBACK")
                    raise
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                what = f"SQLite says: {error}."
                raise StoreError(what, mend="Check the disk and board.data_dir.") from error
            return result


_WRITE: Final = """
if ARGV[1] ~= '' and redis.call('get', KEYS[2]) ~= ARGV[1] then return 0 end
local i = 2
while i <= #ARGV do
  if ARGV[i] == 'put' then
    redis.call('hset', KEYS[1], ARGV[i + 1], ARGV[i + 2])
    i = i + 3
  else
    redis.call('hdel', KEYS[1], ARGV[i + 1])
    i = i + 2
  end
end
redis.call('incr', KEYS[3])
return 1
"""


class RedisStore:
    """A store in Redis that several boards share: one hash, a fence and a version.

    Args:
        url: of Redis, `redis://host:port/db`.
        name: of the hash; one per world (X-81).
    """

    def __init__(self, url: str, name: str) -> None:
        # With a timeout of its own redis-py calls `asyncio.wait_for`, which on Python 3.11 loses a cancellation that
        # comes as its work is done: the task then runs on, and the board hangs at its end.
        self._redis: Any = redis.asyncio.Redis.from_url(
            url, socket_timeout=None, socket_connect_timeout=REDIS_TIMEOUT_S
        )
        self._hash, self._fence, self._version = name, f"{name}.fence", f"{name}.version"

    async def read(self) -> Entries:
        """Return everything."""
        entries = await self._do(lambda: self._redis.hgetall(self._hash))
        return {key.decode(): value for key, value in entries.items()}

    async def version(self) -> int:
        """Return a number that changes with every write."""
        return int(await self._do(lambda: self._redis.get(self._version)) or 0)

    async def take(self) -> int:
        """Take the store over."""
        return int(await self._do(lambda: self._redis.incr(self._fence)))

    async def write(self, changes: Mapping[str, bytes | None], *, fence: int | None = None) -> None:
        """Put or remove entries in one script, which Redis runs whole."""
        words: list[str | bytes] = ["" if fence is None else str(fence)]
        for key, value in changes.items():
            words += ["del", key] if value is None else ["put", key, value]
        keys = (self._hash, self._fence, self._version)
        if not await self._do(lambda: self._redis.eval(_WRITE, 3, *keys, *words)):
            what = "The outbox was taken over by another board."
            raise StoreTakenError(what)

    async def close(self) -> None:
        """Let go of the connection."""
        await self._redis.aclose()

    async def _do(self, work: Callable[[], Any]) -> Any:
        try:
            async with asyncio.timeout(REDIS_TIMEOUT_S):
                return await work()
        except (RedisError, OSError) as error:
            # The text of an error may hold the URL with its password: its type is enough.
            what = f"Redis does not answer ({type(error).__name__})."
            raise StoreError(what, mend="Check board.redis_url and that Redis runs.") from error


def stores_beside(board: Board) -> tuple[Store, Store]:
    """Return the stores of a board's outbox and of its acknowledgements and mutes.

    In Redis where boards share one, else in the board's data folder. A replay's stores are files of its own, empty at
    first: the same day played again has the same alert ids, and with the old log none of them would be written down.
    """
    settings = board.settings
    if settings.board.redis_url and not board.replay_id:
        url, world = settings.board.redis_url, f"{settings.kafka.app}.{settings.kafka.prefix}"
        return RedisStore(url, f"{world}outbox"), RedisStore(url, f"{world}desk")
    name = f"outbox-{board.replay_id}.sqlite3" if board.replay_id else "outbox.sqlite3"
    path = Path(settings.board.data_dir) / name
    if board.replay_id:
        for old in path.parent.glob(f"{path.name}*"):
            old.unlink()
    return SqliteStore(path, "outbox"), SqliteStore(path, "desk")
