"""TCP proxies between programs, with which a test interrupts connections.

A link carries the connections that one program makes to another. While one of
its directions is held, the bytes wait, like lost packets that are sent again. They
arrive late when the direction is released, or are lost with the connection when
the link is cut."""

import asyncio
import socket
import threading

CHUNK = 65536


class Link:
    """The connections that `source` makes to `target`. Used only on the thread of
    the proxies."""

    def __init__(self, source, target, target_port, tap=None):
        self.source = source
        self.target = target
        # Bound immediately, so that no other program gets the port.
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.target_port = target_port
        self.tap = tap
        self.refusing = False
        # By direction: set while bytes are forwarded.
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
            # While either direction is held, no connection is established.
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
            self.forward(reader, far_writer, "there", tap and tap.sent),
            self.forward(far_reader, writer, "back", tap and tap.received))
        self.writers -= {writer, far_writer}

    async def forward(self, reader, writer, way, see):
        try:
            while data := await reader.read(CHUNK):
                await self.gates[way].wait()
                if see:
                    see(data)
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        # The end of a connection is held, too.
        await self.gates[way].wait()
        writer.close()

    def set(self, there, back):
        for way, passes in (("there", there), ("back", back)):
            gate = self.gates[way]
            gate.set() if passes else gate.clear()

    def cut(self):
        """Closes all connections; bytes that are held are lost."""
        for writer in list(self.writers):
            writer.transport.abort()


class Proxies:
    """All links, on their own thread."""

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
        """Holds what `one` sends to `other`, and the opposite direction."""
        async def work():
            for link, ours in self.between(one, other):
                if ours:
                    link.set(there=False, back=not back_too)
                else:
                    link.set(there=not back_too, back=False)
        self.call(work())

    def refuse(self, one, other):
        """Closes the connections between both, and refuses new ones."""
        async def work():
            for link, _ in self.between(one, other):
                link.refusing = True
                link.cut()
        self.call(work())

    def heal(self, one, other, lose=False):
        """Forwards everything between both again; bytes that were held arrive now,
        or are lost with their connections."""
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
