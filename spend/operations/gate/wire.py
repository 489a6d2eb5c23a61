"""One connection of the gate, asked in pipelines: statements travel in one packet, their answers are read as they come.

It stands on libpq's pipeline mode as psycopg wraps it (`psycopg.pq`) and on nothing else of psycopg's inside: with the
dozen small statements of a transaction, cursors and their waiting are most of a process's time. Each statement is
prepared at its first use. A round trip ends with a Sync, so an error ends with it; the transaction is an explicit one.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import psycopg
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus, TransactionStatus
from psycopg.types.string import TextLoader

from events.questions import Question, Rows

SETTINGS: Final = (
    "plan_cache_mode = force_generic_plan",
    "enable_seqscan = off",
    "enable_hashjoin = off",
    "enable_mergejoin = off",
    "jit = off",
)
"""All statements find single rows by an index. A plan made while a table was still small must not scan it later."""
BEGIN: Final = Question(b"BEGIN")
COMMIT: Final = Question(b"COMMIT")
ROLLBACK: Final = Question(b"ROLLBACK")
PATIENCE_SECONDS: Final = 30.0
"""How long an answer may take when the server does not even say that it waits for a lock."""
_DONE: Final = (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK)


class Wire:
    """A connection that belongs to one event loop and is used by one task at a time."""

    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        self._connection, self._pgconn = connection, connection.pgconn
        self._loop = asyncio.get_running_loop()
        self._names: dict[bytes, bytes] = {}
        self._count = 0
        self._settled = True
        self._waiter: asyncio.Future[None] | None = None
        self._sender: asyncio.Future[None] | None = None
        self._fd = self._pgconn.socket
        self._transformer = Transformer(connection)
        self._loop.add_reader(self._fd, self._readable)

    @classmethod
    async def connect(cls, url: str, *, lock_timeout_ms: int, **options: Any) -> "Wire":
        """This function will connect and prepare the session. Raises psycopg.Error."""
        connection = await psycopg.AsyncConnection.connect(url, autocommit=True, **options)
        for name in ("uuid", "json", "jsonb"):
            connection.adapters.register_loader(name, TextLoader)
        settings = (*SETTINGS, f"lock_timeout = {lock_timeout_ms}")
        await connection.execute("; ".join(f"SET {setting}" for setting in settings).encode())
        connection.pgconn.enter_pipeline_mode()
        return cls(connection)

    @property
    def is_open(self) -> bool:
        """Whether it can still be used."""
        return self._fd >= 0 and not self._connection.closed

    async def ask(self, questions: Sequence[Question]) -> None:
        """This function will send the questions in one packet, wait for all answers and hand each its rows.

        Raises the first error that the server answers with, after all answers are in: the later questions were then not
        asked. Raises psycopg.OperationalError when the connection is lost; what became of a COMMIT is then unknown.
        """
        self._settled = False
        patience = self._loop.call_later(PATIENCE_SECONDS, self.close)
        try:
            new_names = [self._send(question) for question in questions]
            self._pgconn.pipeline_sync()
            await self._flush()
            answers = await self._answers(questions, new_names)
        finally:
            patience.cancel()
            if not self._settled:
                self.close()
        for question, rows in zip(questions, answers, strict=True):
            question.collect(rows)

    async def roll_back(self) -> None:
        """This function will end a transaction without an effect, if the connection still lives."""
        if self.is_open and self._pgconn.transaction_status != TransactionStatus.IDLE:
            try:
                await self.ask([ROLLBACK])
            except psycopg.Error:
                self.close()

    def forget_statements(self) -> None:
        """Prepare every statement anew at its next use; what they are called is not used again."""
        self._names.clear()

    def close(self) -> None:
        """Give the connection up; the server rolls back what it has not committed."""
        if self._fd >= 0:
            # Both before the descriptor is closed: a loop that still watches it may wait for ever, or abort.
            self._loop.remove_reader(self._fd)
            self._loop.remove_writer(self._fd)
            self._fd = -1
            self._pgconn.finish()
        self._wake()

    def _send(self, question: Question) -> bytes | None:
        """Send one; returns its new name when it has to be prepared first, which has an answer of its own."""
        known = self._names.get(question.statement)
        name = known
        if name is None:
            self._count += 1
            name = b"g%d" % self._count
            self._pgconn.send_prepare(name, question.statement)
        given = question.parameters
        self._pgconn.send_query_prepared(
            name,
            [one.encode() if isinstance(one, str) else one for one in given],
            [0 if isinstance(one, str) else 1 for one in given],
        )
        return name if known is None else None

    async def _flush(self) -> None:
        while self._pgconn.flush():
            self._sender = self._loop.create_future()
            self._loop.add_writer(self._fd, self._wake)
            try:
                await self._sender
            finally:
                self._sender = None
                if self._fd >= 0:
                    self._loop.remove_writer(self._fd)
            if self._fd < 0:
                raise psycopg.OperationalError("the connection to PostgreSQL is lost")

    async def _answers(self, questions: Sequence[Question], new_names: Sequence[bytes | None]) -> list[Rows]:
        answers: list[Rows] = []
        error: psycopg.Error | None = None
        for question, new_name in zip(questions, new_names, strict=True):
            if new_name is not None:
                refused = self._error_of(await self._result())
                if refused is None:
                    self._names[question.statement] = new_name
                error = error or refused
            result = await self._result()
            error = error or self._error_of(result)
            answers.append([] if error is not None else self._rows(result))
        await self._result()  # of the Sync
        self._settled = True
        if error is not None:
            raise error
        return answers

    async def _result(self) -> Any:
        """The next result; those that only end a statement's results are passed over."""
        while True:
            while self._pgconn.is_busy():
                await self._readability()
            result = self._pgconn.get_result()
            if result is not None:
                return result
            if self._pgconn.status != ConnStatus.OK:
                raise psycopg.OperationalError("the connection to PostgreSQL is lost")

    async def _readability(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
        if self._fd < 0:
            raise psycopg.OperationalError("the connection to PostgreSQL is lost")
        self._pgconn.consume_input()

    def _readable(self) -> None:
        """Called by the loop when something has come."""
        if self._waiter is not None:
            self._wake()
            return
        try:  # nobody waits: a notice, or the end
            self._pgconn.consume_input()
        except psycopg.Error:
            self.close()

    def _wake(self) -> None:
        """Let whoever waits for an answer, or to send more, look again; never both wait."""
        for waiting in (self._waiter, self._sender):
            if waiting is not None and not waiting.done():
                waiting.set_result(None)

    def _error_of(self, result: Any) -> psycopg.Error | None:
        if result.status in _DONE:
            return None
        if result.status == ExecStatus.PIPELINE_ABORTED:
            return psycopg.errors.PipelineAborted("an earlier statement failed")
        return error_from_result(result)

    def _rows(self, result: Any) -> Rows:
        if not result.ntuples:
            return []
        self._transformer.set_pgresult(result)
        return self._transformer.load_rows(0, result.ntuples, tuple)
