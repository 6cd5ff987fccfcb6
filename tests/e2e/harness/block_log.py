"""The recorder: an NBD server that passes every request on to an export and writes it into a block log.

It speaks the smallest dialect (fixed newstyle, NBD_OPT_GO, simple replies, one connection), so the log has the requests
in the order in which they took effect. `ashlar-replay` reads the log; its format is described there.
"""

import contextlib
import socket
import struct
import threading

from harness import nbd_client
from harness.nbd_client import NbdClient

MAGIC = b"ASHLOG1\n"
WRITE, DURABLE_WRITE, FLUSH, TRIM, ZEROES, MADE = range(1, 7)

OPTION_ABORT = 2
OPTION_INFO = 6
REPLY_UNSUPPORTED = 0x80000001
# Has flags; knows FLUSH, FUA, TRIM and WRITE_ZEROES.
TRANSMISSION_FLAGS = 1 | 4 | 8 | 32 | 64


class Recorder:
    """Records what one client sends to an export, from entering to leaving the context."""

    def __init__(self, socket_path, export_address, export, log_path):
        self.uri = f"nbd+unix:///?socket={socket_path}"
        self._address = export_address
        self._export = export
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(socket_path))
        self._listener.listen()
        self._log = open(log_path, "wb")  # noqa: SIM115 (it stays open as long as this does)
        self._log_lock = threading.Lock()
        self._begun = False
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self.error = None

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        # Wakes the accept; closing alone would not.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(60)
        self._listener.close()
        self._log.close()
        if self.error:
            raise self.error

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            try:
                with connection:
                    self._serve(connection)
            except (ConnectionError, EOFError):
                pass
            except Exception as error:
                self.error = error
                return

    def _serve(self, connection):
        receive = _receiver(connection)
        with NbdClient(self._address, self._export) as target:
            connection.sendall(nbd_client.NBDMAGIC + nbd_client.IHAVEOPT + struct.pack(">H", 3))
            receive(4)
            if not _negotiate(connection, receive, target.size_bytes):
                return
            if not self._begun:
                self._begun = True
                self._log.write(MAGIC + struct.pack("<Q", target.size_bytes))
            while self._request(connection, receive, target):
                pass

    def _request(self, connection, receive, target):
        magic, flags, command, cookie, offset, length = struct.unpack(">IHHQQI", receive(28))
        assert magic == nbd_client.REQUEST_MAGIC
        durable = bool(flags & nbd_client.COMMAND_FUA)
        error, data = 0, b""
        try:
            if command == nbd_client.COMMAND_DISCONNECT:
                return False
            if command == nbd_client.COMMAND_READ:
                data = target.read(offset, length)
            elif command == nbd_client.COMMAND_WRITE:
                payload = receive(length)
                target.write(offset, payload, fua=durable)
                self._note(DURABLE_WRITE if durable else WRITE, offset, length, payload)
            elif command == nbd_client.COMMAND_FLUSH:
                target.flush()
                self._note(FLUSH)
            elif command == nbd_client.COMMAND_TRIM:
                target.trim(offset, length)
                self._note(TRIM, offset, length)
            elif command == nbd_client.COMMAND_WRITE_ZEROES:
                target.write_zeroes(offset, length, no_hole=bool(flags & nbd_client.COMMAND_NO_HOLE))
                self._note(ZEROES, offset, length)
            else:
                error = 22
            if durable and command in (nbd_client.COMMAND_TRIM, nbd_client.COMMAND_WRITE_ZEROES):
                target.flush()
                self._note(FLUSH)
        except OSError as failed:
            error = failed.errno
        connection.sendall(struct.pack(">IIQ", nbd_client.SIMPLE_REPLY_MAGIC, error, cookie) + data)
        return True

    def note_made(self):
        """The file system has been made: from here on every flush leaves a sound one."""
        self._note(MADE)

    def _note(self, operation, offset=0, length=0, payload=b""):
        with self._log_lock:
            self._log.write(struct.pack("<BQI", operation, offset, length) + payload)


def _receiver(connection):
    def receive(length):
        pieces = bytearray()
        while len(pieces) < length:
            piece = connection.recv(length - len(pieces))
            if not piece:
                raise EOFError
            pieces += piece
        return bytes(pieces)

    return receive


def _negotiate(connection, receive, size_bytes):
    """Answers options until the client has chosen the export; False if it goes away."""
    while True:
        _, option, length = struct.unpack(">8sII", receive(16))
        receive(length)

        def reply(kind, data=b"", option=option):
            head = struct.pack(">QIII", nbd_client.OPTION_REPLY_MAGIC, option, kind, len(data))
            connection.sendall(head + data)

        if option in (nbd_client.OPTION_GO, OPTION_INFO):
            info = struct.pack(">HQH", nbd_client.INFO_EXPORT, size_bytes, TRANSMISSION_FLAGS)
            reply(nbd_client.REPLY_INFO, info)
            reply(nbd_client.REPLY_ACK)
            if option == nbd_client.OPTION_GO:
                return True
        elif option == OPTION_ABORT:
            reply(nbd_client.REPLY_ACK)
            return False
        else:
            reply(REPLY_UNSUPPORTED)
