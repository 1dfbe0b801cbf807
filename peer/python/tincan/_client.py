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
            if self._has_ended:
                raise _ended()
            call_id = self._next_id
            self._next_id += 1
            self._calls[call_id] = answer
            request = {"jsonrpc": "2.0", "id": call_id, "method": method, "params": given}
            assert self._process.stdin is not None
            try:
                self._process.stdin.write(json.dumps(request).encode() + b"\n")
                self._process.stdin.flush()
            except (BrokenPipeError, ValueError):
                self._calls.pop(call_id, None)
                raise _ended() from None
        return answer.result()

    def events(self, name: str) -> Iterator[LoggedObject]:
        """Everything that happens, for ever, from where the reader of this name was last.

        An event counts as dealt with when the next one is asked for: whoever ends before that, also by a crash, gets
        it again. A reader that is new begins with what happens from now on.
        """
        place = self.cursor_get(name=name)
        cursor = place["cursor"] if place["cursor"] is not None else place["last"]
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
        with self._lock:
            if self._process.stdin is not None:
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
        for line in self._process.stdout:
            answer = cast(dict[str, Any], json.loads(line))
            with self._lock:
                call = self._calls.pop(answer.get("id") or 0, None)
            if call is None:
                continue
            if "error" in answer:
                error = answer["error"]
                data = error.get("data") or {}
                call.set_exception(
                    PeerError(data.get("code", "failed"), error["message"], data.get("help", ""))
                )
            else:
                call.set_result(answer["result"])
        with self._lock:
            self._has_ended = True
            waiting = list(self._calls.values())
            self._calls.clear()
        for call in waiting:
            call.set_exception(_ended())


def _ended() -> PeerError:
    return PeerError("ended", "the peer program has ended", "its messages on stderr say why")
