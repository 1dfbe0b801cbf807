"""JSON-RPC with the `peer` program over its stdin and stdout."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, cast

from ._methods import LoggedObject, Methods

# How long one call waits for news, milliseconds. Another one follows it.
_WAIT_MS = 60_000


class PeerError(Exception):
    """Why something could not be done.

    `code` is for programs (`failed`, `usage`, `timeout`, `not_found`, `refused`, `ended`, `disk_full`), `help` says what
    there is to do about it.
    """

    def __init__(self, code: str, message: str, help: str = "") -> None:
        super().__init__(f"{message} ({help})" if help else message)
        self.code = code
        self.message = message
        self.help = help


class Peer(Methods):
    """A profile, wherever it runs: in the program that this starts, or in another process of the same user.

    Methods may be called from several threads at once.
    """

    def __init__(
        self,
        home: str | os.PathLike[str] | None = None,
        *,
        program: str = "peer",
        options: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Starts `program`, with the profile's folder if it is not the standard one, and further options of it."""
        folder = ["--home", os.fspath(home)] if home is not None else []
        self._process = subprocess.Popen(
            [program, *folder, *options, "rpc"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=None if env is None else dict(env),
        )
        self._lock = threading.Lock()
        # A write that has to wait must not keep the reader waiting, and with it every answer.
        self._writing = threading.Lock()
        self._calls: dict[int, Future[Any]] = {}
        self._next_id = 1
        self._has_ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def call(self, method: str, params: Mapping[str, Any]) -> Any:
        """Calls a method by its name. Parameters that are `None` are left out."""
        given = {name: value for name, value in params.items() if value is not None}
        answer: Future[Any] = Future()
        with self._lock:
            call_id = self._next_id
            self._next_id += 1
        request = {"jsonrpc": "2.0", "id": call_id, "method": method, "params": given}
        # What cannot be written in JSON and UTF-8 is an error of the caller's, before anything is sent.
        line = json.dumps(request, ensure_ascii=False, allow_nan=False).encode() + b"\n"
        with self._lock:
            if self._has_ended:
                raise _ended()
            self._calls[call_id] = answer
        assert self._process.stdin is not None
        try:
            with self._writing:
                self._process.stdin.write(line)
                self._process.stdin.flush()
        except (BrokenPipeError, ValueError):
            with self._lock:
                self._calls.pop(call_id, None)
            raise _ended() from None
        return answer.result()

    def events(self, name: str) -> Iterator[LoggedObject]:
        """Everything that happens, for ever, from where the reader of this name was last.

        An event counts as dealt with when the next one is asked for: whoever ends before that, also by a crash, gets
        it again. A reader that is new begins with what happens from now on.
        """
        place = self.cursor_get(name=name)
        cursor = place["cursor"]
        if cursor is None:
            cursor = place["last"]
            self.cursor_set(name=name, cursor=cursor)
        while True:
            news = self.events_next(after=cursor, timeout_ms=_WAIT_MS)
            for event in news["events"]:
                yield event
                cursor = event["cursor"]
                self.cursor_set(name=name, cursor=cursor)
            if not news["events"]:
                cursor = news["cursor"]

    def close(self) -> None:
        """Ends the program in order: what was confirmed is durable in any case."""
        if self._process.stdin is not None:
            with self._writing:
                try:
                    self._process.stdin.close()
                except BrokenPipeError:
                    pass
        self._process.wait()
        self._reader.join()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        try:
            for line in self._process.stdout:
                self._settle(cast(dict[str, Any], json.loads(line)))
        finally:
            with self._lock:
                self._has_ended = True
            self._fail_all(_ended())

    def _settle(self, answer: dict[str, Any]) -> None:
        error = answer.get("error")
        failure = None
        if error is not None:
            data = error.get("data") or {}
            failure = PeerError(data.get("code", "failed"), error["message"], data.get("help", ""))
        if answer.get("id") is None and failure is not None:
            # A line that was not understood: nobody can know whose it was.
            self._fail_all(failure)
            return
        with self._lock:
            call = self._calls.pop(answer["id"], None)
        if call is None:
            return
        if failure is not None:
            call.set_exception(failure)
        else:
            call.set_result(answer["result"])

    def _fail_all(self, failure: PeerError) -> None:
        with self._lock:
            waiting = list(self._calls.values())
            self._calls.clear()
        for call in waiting:
            call.set_exception(failure)


def _ended() -> PeerError:
    return PeerError("ended", "the peer program has ended", "its messages on stderr say why")
