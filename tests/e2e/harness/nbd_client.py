"""A small NBD client that knows exactly which request was answered.

Fixed newstyle, NBD_OPT_GO, simple replies, one request at a time. Stock clients drive the server in other
tests; this one is for those that must know what was acknowledged when the server died.
"""

import contextlib
import errno
import os
import socket
import struct

NBDMAGIC = b"NBDMAGIC"
IHAVEOPT = b"IHAVEOPT"
OPTION_REPLY_MAGIC = 0x3E889045565A9
REQUEST_MAGIC = 0x25609513
SIMPLE_REPLY_MAGIC = 0x67446698

FLAG_FIXED_NEWSTYLE = 1
FLAG_NO_ZEROES = 2
OPTION_GO = 7
REPLY_ACK = 1
REPLY_INFO = 3
INFO_EXPORT = 0

COMMAND_READ, COMMAND_WRITE, COMMAND_DISCONNECT, COMMAND_FLUSH, COMMAND_TRIM = range(5)
COMMAND_WRITE_ZEROES = 6
COMMAND_FUA = 1
COMMAND_NO_HOLE = 2

TRANSMISSION_READ_ONLY = 2


class ExportRefused(Exception):
    """The server does not open the export; `reply` is the NBD_REP_ERR code."""

    def __init__(self, export, reply, text):
        super().__init__(f"{export}: reply {reply:#x}: {text}")
        self.reply = reply


class ConnectionLost(Exception):
    """The server closed the connection: the request under way may or may not have taken effect."""


class NbdClient:
    """One connection to one export. Errors of single commands are OSError with the errno of the reply."""

    def __init__(self, address, export, timeout_s=30):
        """`address` is the path of a unix socket or a (host, port) pair."""
        family = socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.settimeout(timeout_s)
        self._cookie = 0
        try:
            self._socket.connect(address if isinstance(address, tuple) else os.fspath(address))
            self.size_bytes, self.flags = self._negotiate(export)
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @property
    def socket(self):
        """The connection itself, for clients that misbehave."""
        return self._socket

    @property
    def is_read_only(self):
        return bool(self.flags & TRANSMISSION_READ_ONLY)

    def _receive(self, length):
        pieces = bytearray()
        while len(pieces) < length:
            try:
                piece = self._socket.recv(length - len(pieces))
            except ConnectionError as error:
                raise ConnectionLost(str(error)) from error
            if not piece:
                raise ConnectionLost(f"closed after {len(pieces)} of {length} bytes")
            pieces += piece
        return bytes(pieces)

    def _send(self, *pieces):
        try:
            self._socket.sendall(b"".join(pieces))
        except ConnectionError as error:
            raise ConnectionLost(str(error)) from error

    def _negotiate(self, export):
        greeting, option_magic, _ = struct.unpack(">8s8sH", self._receive(18))
        assert (greeting, option_magic) == (NBDMAGIC, IHAVEOPT)
        name = export.encode()
        data = struct.pack(f">I{len(name)}sH", len(name), name, 0)
        self._send(
            struct.pack(">I", FLAG_FIXED_NEWSTYLE | FLAG_NO_ZEROES),
            struct.pack(">8sII", IHAVEOPT, OPTION_GO, len(data)),
            data,
        )
        found = None
        while True:
            magic, option, reply, length = struct.unpack(">QIII", self._receive(20))
            assert (magic, option) == (OPTION_REPLY_MAGIC, OPTION_GO)
            payload = self._receive(length)
            if reply == REPLY_ACK:
                assert found, "NBD_REP_ACK without NBD_INFO_EXPORT"
                return found
            if reply != REPLY_INFO:
                raise ExportRefused(export, reply, payload.decode(errors="replace"))
            if struct.unpack_from(">H", payload)[0] == INFO_EXPORT:
                found = struct.unpack_from(">QH", payload, 2)

    def _command(self, command, offset=0, length=0, payload=b"", flags=0):
        self._cookie += 1
        self._send(
            struct.pack(">IHHQQI", REQUEST_MAGIC, flags, command, self._cookie, offset, length),
            payload,
        )
        magic, error, cookie = struct.unpack(">IIQ", self._receive(16))
        assert (magic, cookie) == (SIMPLE_REPLY_MAGIC, self._cookie), (hex(magic), cookie)
        if error:
            raise OSError(error, f"{os.strerror(error)}: command {command} at {offset}, {length} bytes")
        return self._receive(length) if command == COMMAND_READ else None

    def read(self, offset, length):
        """Reads `length` bytes."""
        return self._command(COMMAND_READ, offset, length)

    def write(self, offset, data, fua=False):
        """Writes `data`; with `fua` it is durable when this returns."""
        self._command(COMMAND_WRITE, offset, len(data), data, COMMAND_FUA if fua else 0)

    def flush(self):
        """Makes everything durable that was answered before."""
        self._command(COMMAND_FLUSH)

    def trim(self, offset, length):
        """Gives the range back; it reads as zeroes afterwards."""
        self._command(COMMAND_TRIM, offset, length)

    def write_zeroes(self, offset, length, no_hole=False):
        """Makes the range zeroes; with `no_hole` its space stays."""
        self._command(COMMAND_WRITE_ZEROES, offset, length, flags=COMMAND_NO_HOLE if no_hole else 0)

    def is_lost(self):
        """Whether the server has ended the session: asked with a read of one byte."""
        try:
            self.read(0, 1)
        except ConnectionLost:
            return True
        except OSError as error:
            return error.errno == errno.ESHUTDOWN
        return False

    def close(self):
        """Ends the session politely where the server still listens."""
        with contextlib.suppress(ConnectionLost, OSError):
            self._send(struct.pack(">IHHQQI", REQUEST_MAGIC, 0, COMMAND_DISCONNECT, 0, 0, 0))
        self._socket.close()
