"""A writer that knows what each block of a disk may hold after the server died."""

import random
import struct
import threading

from harness.nbd_client import ConnectionLost, NbdClient

BLOCK_BYTES = 4096
REGION_BLOCKS = 64
# Places that differ for a store that maps in chunks and leaves: the start, across 32 MiB, the middle, the end.
REGION_OFFSETS = (
    0,
    (32 << 20) - 16 * BLOCK_BYTES,
    (1 << 30) + 5 * BLOCK_BYTES,
    (10 << 30) - REGION_BLOCKS * BLOCK_BYTES,
)
BLOCKS = len(REGION_OFFSETS) * REGION_BLOCKS
ZEROES = 0

_PATTERN = struct.Struct("<QQ")


def block_offset(block):
    """Where a block of the model lies on the disk."""
    region, within = divmod(block, REGION_BLOCKS)
    return REGION_OFFSETS[region] + within * BLOCK_BYTES


def block_bytes(block, value):
    """The content of a block that holds `value`; unlike that of any other block or value."""
    if value == ZEROES:
        return bytes(BLOCK_BYTES)
    return _PATTERN.pack(value, block) * (BLOCK_BYTES // _PATTERN.size)


def block_value(block, data):
    """The value that a block holds; fails if it is not wholly one value of this block."""
    value, _ = _PATTERN.unpack_from(data)
    assert data == block_bytes(block, value), f"block {block} is torn or foreign: begins with {data[:32].hex()}"
    return value


def read_values(client):
    """The value of every block, read through an open export."""
    values = []
    for region, offset in enumerate(REGION_OFFSETS):
        data = client.read(offset, REGION_BLOCKS * BLOCK_BYTES)
        values += [
            block_value(region * REGION_BLOCKS + number, data[number * BLOCK_BYTES : (number + 1) * BLOCK_BYTES])
            for number in range(REGION_BLOCKS)
        ]
    return values


def assert_allowed(values, allowed, what):
    """Every block holds one of the values that it may hold."""
    wrong = [
        f"block {block} holds {value}, allowed {sorted(allowed[block])}"
        for block, value in enumerate(values)
        if value not in allowed[block]
    ]
    assert not wrong, f"{what}: {len(wrong)} wrong blocks\n" + "\n".join(wrong[:10])


def _last(values, value):
    """The last place of `value` in a list; -1 if it is not there."""
    return max((place for place, one in enumerate(values) if one == value), default=-1)


class BlockModel:
    """What each block holds now, and what it may hold after a crash: its last flushed value or a later one."""

    def __init__(self):
        self._current = [ZEROES] * BLOCKS
        self._durable = [ZEROES] * BLOCKS
        self._later = [[] for _ in range(BLOCKS)]

    def begin(self, blocks, value):
        """A request is about to be sent: from now on the blocks may hold `value`."""
        for block in blocks:
            self._later[block].append(value)

    def answered(self, blocks, value, durable=False):
        """The request was answered; with `durable` a crash no longer undoes it."""
        for block in blocks:
            self._current[block] = value
            if durable:
                self._durable[block] = value
                self._later[block].clear()

    def flushed(self):
        """A flush was answered: everything answered before it is durable."""
        self._durable = list(self._current)
        for later in self._later:
            later.clear()

    def current(self, block):
        """What a read has to see now."""
        return self._current[block]

    def after_crash(self):
        """For each block the set of values that it may hold after a crash."""
        return [{durable, *later} for durable, later in zip(self._durable, self._later, strict=True)]

    def answered_or_later(self):
        """For each block the set of values that it may hold after a clean stop: the last answered one, or one
        whose request was sent after that."""
        return [{now, *later[_last(later, now) + 1 :]} for now, later in zip(self._current, self._later, strict=True)]

    def now(self):
        """For each block the one value that it holds, as sets."""
        return [{value} for value in self._current]

    def found(self, values):
        """A restarted server shows `values`: from here on they are what is durable."""
        self._current = list(values)
        self.flushed()


class Writer(threading.Thread):
    """Random writes, discards, zeroes, flushes and reads on one disk over two connections, until it is lost.

    `turn` is held for each request, so that others can have the disk stand still. Requests go out one at a
    time, each on either connection: a flush on one covers what was answered on the other.
    """

    def __init__(self, server, disk, model, seed):
        super().__init__(daemon=True)
        self.model = model
        self.turn = threading.Lock()
        self.error = None
        self.flush_count = 0
        self._server = server
        self._disk = disk
        self._random = random.Random(seed)
        self._next_value = self._random.getrandbits(40) | 1

    def run(self):
        try:
            with (
                NbdClient(self._server.nbd_socket, self._disk) as first,
                NbdClient(self._server.nbd_socket, self._disk) as second,
            ):
                while True:
                    with self.turn:
                        self._step(self._random.choice((first, second)))
        except (ConnectionLost, ConnectionError, FileNotFoundError):
            return  # The server was killed: whether it should have been is the main thread's question.
        except BaseException as error:  # noqa: BLE001 - handed to the main thread
            self.error = error

    def _blocks(self):
        region = self._random.randrange(len(REGION_OFFSETS)) * REGION_BLOCKS
        start = self._random.randrange(REGION_BLOCKS)
        count = min(self._random.choice((1, 1, 1, 2, 3, 8, 16)), REGION_BLOCKS - start)
        return range(region + start, region + start + count)

    def _step(self, client):
        kind = self._random.choices(("write", "fua", "trim", "zeroes", "flush", "read"), (50, 10, 8, 8, 12, 12))[0]
        blocks = self._blocks()
        offset, length = block_offset(blocks[0]), len(blocks) * BLOCK_BYTES
        if kind == "flush":
            client.flush()
            self.model.flushed()
            self.flush_count += 1
        elif kind == "read":
            data = client.read(offset, length)
            for number, block in enumerate(blocks):
                value = block_value(block, data[number * BLOCK_BYTES : (number + 1) * BLOCK_BYTES])
                assert value == self.model.current(block), (
                    f"block {block} reads {value}, {self.model.current(block)} written"
                )
        elif kind in ("trim", "zeroes"):
            self.model.begin(blocks, ZEROES)
            if kind == "trim":
                client.trim(offset, length)
            else:
                client.write_zeroes(offset, length, no_hole=self._random.random() < 0.5)
            self.model.answered(blocks, ZEROES)
        else:
            self._next_value += 1
            value = self._next_value
            self.model.begin(blocks, value)
            client.write(offset, b"".join(block_bytes(block, value) for block in blocks), fua=kind == "fua")
            self.model.answered(blocks, value, durable=kind == "fua")
