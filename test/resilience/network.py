"""The network between two parts: a TCP proxy that can be broken in several ways."""

import asyncio
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

from test.conftest import free_port

SLOW_SECONDS = 0.1
Reader, Writer = asyncio.StreamReader, asyncio.StreamWriter


class Weather(StrEnum):
    """What the network does now."""

    FAIR = "fair"
    REFUSING = "nobody listens, and open connections break"
    SILENT = "everything is swallowed"
    CUTTING = "each answer breaks off somewhere"
    MUTE = "requests arrive and are carried out, answers are lost"
    SLOW = "every answer takes its time"


class Network:
    """Forwards ``port`` of this machine to ``target``, a port or a Unix socket.

    ``harmed``: how much each weather has spoilt.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self.target: int | Path = 0
        self.harmed = dict.fromkeys(Weather, 0)
        self._weather = Weather.FAIR
        self._open: set[Writer] = set()

    @contextmanager
    def running(self) -> Iterator["Network"]:
        """Forward as long as the block lasts."""
        self._loop = asyncio.new_event_loop()
        thread = threading.Thread(target=self._loop.run_forever, name="network", daemon=True)
        thread.start()
        self._do(self._listen())
        try:
            yield self
        finally:
            self._do(self._end())
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join()
            self._loop.close()

    def lead_to(self, target: int | Path) -> None:
        """The other end, which need not be there yet."""
        self.target = target

    def change(self, weather: Weather) -> None:
        """From now on. What hung or was open before breaks."""
        self._do(self._change(weather))

    def _do(self, work: "asyncio.Future[None] | object") -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)  # type: ignore[arg-type]

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, reuse_address=True, backlog=512)

    async def _change(self, weather: Weather) -> None:
        was, self._weather = self._weather, weather
        for writer in list(self._open):
            writer.transport.abort()
        if weather == Weather.REFUSING:
            self._server.close()
            self.harmed[weather] += 1
        elif was == Weather.REFUSING:
            await self._listen()

    async def _end(self) -> None:
        self._server.close()
        for writer in list(self._open):
            writer.transport.abort()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    async def _serve(self, reader: Reader, writer: Writer) -> None:
        try:
            far_reader, far_writer = await self._far_end()
        except OSError:
            writer.transport.abort()
            return
        pair = {writer, far_writer}
        self._open |= pair
        try:
            await asyncio.gather(self._requests(reader, far_writer), self._answers(far_reader, writer))
        except OSError:
            pass
        finally:
            self._open -= pair
            for end in pair:
                end.transport.abort()

    async def _far_end(self) -> tuple[Reader, Writer]:
        if isinstance(self.target, Path):
            return await asyncio.open_unix_connection(self.target)
        return await asyncio.open_connection("127.0.0.1", self.target)

    async def _requests(self, reader: Reader, far: Writer) -> None:
        while data := await reader.read(1 << 16):
            if self._weather == Weather.SILENT:
                self.harmed[Weather.SILENT] += 1
                continue
            far.write(data)
            await far.drain()
        raise ConnectionResetError

    async def _answers(self, far: Reader, writer: Writer) -> None:
        while data := await far.read(1 << 16):
            if self._weather in (Weather.MUTE, Weather.CUTTING):
                self.harmed[self._weather] += 1
                if self._weather == Weather.CUTTING:
                    writer.write(data[: random.randrange(len(data))])
                    writer.close()
                    await writer.wait_closed()
                break
            if self._weather == Weather.SLOW:
                self.harmed[Weather.SLOW] += 1
                await asyncio.sleep(SLOW_SECONDS)
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError
