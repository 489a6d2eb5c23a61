"""A connection whose pipeline sends when an answer is wanted: what was asked before travels in one packet.

psycopg's own pipeline sends, and polls the socket, at every `execute`; with the dozen small statements of the gate that
is most of the process's time. Here statements stay in libpq's buffer until the first fetch or the end of the pipeline.
It overrides what psycopg keeps for itself, so the pinned version matters (ADR 0009).
"""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.generators import send
from psycopg.pq import TransactionStatus


class LazyPipeline(psycopg.Pipeline):
    """psycopg's pipeline with fewer packets; order, errors and results are the same."""

    def _enter_gen(self) -> Generator[Any, Any, None]:
        if self.level == 0:
            self.pgconn.enter_pipeline_mode()
        self.level += 1
        yield from ()

    def _communicate_gen(self) -> Generator[Any, Any, None]:
        self._hand_over()
        yield from ()

    def _fetch_gen(self, *, flush: bool) -> Generator[Any, Any, None]:
        if not self.result_queue:
            return
        self._hand_over()
        if flush:
            self.pgconn.send_flush_request()
        yield from send(self.pgconn)
        yield from super()._fetch_gen(flush=False)

    def _hand_over(self) -> None:
        while self.command_queue:
            self.command_queue.popleft()()


class GateConnection(psycopg.Connection[Any]):
    """A connection for those who ask several things at once."""

    @contextmanager
    def pipeline(self) -> Iterator[psycopg.Pipeline]:
        """As psycopg's own, but always of the kind above."""
        if self._pipeline is None:
            self._pipeline = LazyPipeline(self)
        pipeline = self._pipeline
        try:
            with pipeline:
                yield pipeline
        finally:
            if pipeline.level == 0:
                self._pipeline = None

    @contextmanager
    def batch(self) -> Iterator[None]:
        """A transaction in a pipeline: BEGIN travels with the first question, COMMIT with the last writes."""
        try:
            with self.pipeline():
                self.execute("BEGIN")
                yield
                self.execute("COMMIT")
        except BaseException:
            if self.info.transaction_status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
                self.execute("ROLLBACK")
            raise


@contextmanager
def in_one_transaction(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """A transaction in a pipeline; on a connection of another kind psycopg's own."""
    if isinstance(connection, GateConnection):
        with connection.batch():
            yield
    else:
        with connection.pipeline(), connection.transaction():
            yield
