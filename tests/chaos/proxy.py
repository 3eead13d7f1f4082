"""TCP proxies between programs, so that a test can break what runs over them.

A link is one direction in which one program connects to another. While a
direction of a link is held, its bytes wait, as with packets that are lost and
sent again: they arrive late when it is let go, or are lost with the connection
when it is cut."""

import asyncio
import socket
import threading

CHUNK = 65536


class Link:
    """The connections that `source` makes to `target`. Only the thread of the
    proxies touches it."""

    def __init__(self, source, target, target_port, tap=None):
        self.source = source
        self.target = target
        # Bound at once, so that nobody else takes the port.
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.target_port = target_port
        self.tap = tap
        self.refusing = False
        # By direction: set while bytes pass.
        self.gates = {}
        self.writers = set()

    async def serve(self):
        self.gates = {way: asyncio.Event() for way in ("there", "back")}
        for gate in self.gates.values():
            gate.set()
        await asyncio.start_server(self.connected, sock=self.socket)

    async def connected(self, reader, writer):
        if self.refusing:
            writer.close()
            return
        try:
            # No handshake gets through a link that is held either way.
            for gate in self.gates.values():
                await gate.wait()
            far_reader, far_writer = await asyncio.open_connection(
                "127.0.0.1", self.target_port)
        except OSError:
            writer.close()
            return
        tap = self.tap() if self.tap else None
        self.writers |= {writer, far_writer}
        await asyncio.gather(
            self.pump(reader, far_writer, "there", tap and tap.sent),
            self.pump(far_reader, writer, "back", tap and tap.received))
        self.writers -= {writer, far_writer}

    async def pump(self, reader, writer, way, see):
        try:
            while data := await reader.read(CHUNK):
                await self.gates[way].wait()
                if see:
                    see(data)
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        # The end of a connection is not seen through a partition either.
        await self.gates[way].wait()
        writer.close()

    def set(self, there, back):
        for way, passes in (("there", there), ("back", back)):
            gate = self.gates[way]
            gate.set() if passes else gate.clear()

    def cut(self):
        """Ends all connections; what is held is lost."""
        for writer in list(self.writers):
            writer.transport.abort()


class Proxies:
    """All links, on a thread of their own."""

    def __init__(self, links):
        self.links = links
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        self.call(self.serve())

    def run(self):
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def call(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    async def serve(self):
        for link in self.links:
            await link.serve()

    def between(self, one, other):
        """Links between two programs, and whether `one` makes them."""
        for link in self.links:
            if (link.source, link.target) == (one, other):
                yield link, True
            elif (link.source, link.target) == (other, one):
                yield link, False

    def hold(self, one, other, back_too=True):
        """Holds what `one` sends to `other`, and what comes back."""
        async def work():
            for link, ours in self.between(one, other):
                if ours:
                    link.set(there=False, back=not back_too)
                else:
                    link.set(there=not back_too, back=False)
        self.call(work())

    def refuse(self, one, other):
        """Ends the connections between both, and every new one."""
        async def work():
            for link, _ in self.between(one, other):
                link.refusing = True
                link.cut()
        self.call(work())

    def heal(self, one, other, lose=False):
        """Lets everything pass between both; bytes that wait arrive now, or are
        lost with their connections."""
        async def work():
            for link, _ in self.between(one, other):
                if lose:
                    link.cut()
                link.refusing = False
                link.set(there=True, back=True)
        self.call(work())

    def close(self):
        async def work():
            for link in self.links:
                link.refusing = True
                link.set(there=True, back=True)
                link.cut()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            if others:
                await asyncio.wait(others, timeout=5)
        self.call(work())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
