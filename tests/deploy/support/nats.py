"""A NATS server on a configuration of the test's, and a client of its protocol (https://docs.nats.io/reference/reference-protocols/nats-protocol)."""

import json
import socket
import time
import urllib.request

from .process import PATIENCE_S, Process, free_port, wait_until
from .suite import DEPS


class Server:
    """nats-server with JetStream and its monitoring port."""

    def __init__(self, folder, configuration: str = "", environment=None):
        folder.mkdir()
        self.port, self.monitoring = free_port(), free_port()
        (folder / "more.conf").write_text(configuration)
        (folder / "nats.conf").write_text(
            f'listen: "127.0.0.1:{self.port}"\nhttp: "127.0.0.1:{self.monitoring}"\nserver_name: "test"\n'
            f'jetstream {{ store_dir: "{folder / "store"}", max_mem: 256M, max_file: 1G }}\n'
            "include more.conf\n"
        )
        command = [DEPS / "bin/nats-server", "--config", folder / "nats.conf"]
        self.process = Process("nats", command, folder / "server.log", environment or {})
        wait_until("NATS", self._is_ready, self.process)

    def url(self, user: str = "", password: str = "") -> str:
        who = f"{user}:{password}@" if user else ""
        return f"nats://{who}127.0.0.1:{self.port}"

    def _is_ready(self) -> bool:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.monitoring}/healthz", timeout=2) as answer:
            return answer.status == 200


class Client:
    """One connection; every call says what the server refused."""

    def __init__(self, port: int, user: str, password: str):
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._lines = self._socket.makefile("rb")
        assert self._lines.readline().startswith(b"INFO ")
        options = {"verbose": False, "pedantic": False, "user": user, "pass": password, "headers": True,
                   "no_responders": True, "protocol": 1, "lang": "test", "version": "0"}
        # In one piece: what comes after the server hung up would make the system forget what it said.
        self._send(f"CONNECT {json.dumps(options)}\r\nPING\r\n".encode())
        self._next = 0
        self.refused = self._until_pong()[0]

    def publish(self, subject: str, body: bytes = b"{}") -> list:
        """What was refused."""
        self._send(f"PUB {subject} {len(body)}\r\n".encode() + body + b"\r\n")
        return self.settle()[0]

    def subscribe(self, subject: str) -> list:
        """What was refused."""
        self._next += 1
        self._send(f"SUB {subject} {self._next}\r\n".encode())
        return self.settle()[0]

    def request(self, subject: str, body: bytes, inbox: str) -> dict:
        """The JSON that is answered."""
        refused = self.subscribe(inbox)
        self._send(f"PUB {subject} {inbox} {len(body)}\r\n".encode() + body + b"\r\n")
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            errors, messages = self.settle()
            refused += errors
            assert not refused, refused
            if messages:
                return json.loads(messages[0][1])
            time.sleep(0.01)
        raise AssertionError(f"no answer on {subject}")

    def settle(self):
        """Waits until the server has dealt with everything: (errors, messages)."""
        self._send(b"PING\r\n")
        return self._until_pong()

    def _until_pong(self):
        errors, messages = [], []
        while True:
            try:
                line = self._lines.readline()
            except ConnectionResetError:
                line = b""
            if not line:
                return errors + ["the connection was closed"], messages
            word = line.split(b" ", 1)[0].strip()
            if word == b"PONG":
                return errors, messages
            if word == b"PING":
                self._send(b"PONG\r\n")
            elif word == b"-ERR":
                errors.append(line.decode().strip())
            elif word in (b"MSG", b"HMSG"):
                parts = line.split()
                body = self._lines.read(int(parts[-1]) + 2)[:-2]
                head = int(parts[-2]) if word == b"HMSG" else 0
                messages.append((parts[1].decode(), body[head:]))

    def close(self) -> None:
        self._socket.close()

    def _send(self, bytes_: bytes) -> None:
        try:
            self._socket.sendall(bytes_)
        except OSError:
            # What the server said before it hung up is still read.
            pass


def keda_lag(trigger: dict) -> int:
    """What KEDA's scaler asks and computes (kedacore/keda, pkg/scalers/nats_jetstream_scaler.go): waiting and unacknowledged messages
    of the consumer; an error where stream or consumer are not to be found."""
    metadata = trigger["metadata"]
    scheme = "https" if metadata["useHttps"] == "true" else "http"
    url = (f"{scheme}://{metadata['natsServerMonitoringEndpoint']}/jsz"
           f"?acc={metadata['account']}&config=true&consumers=true")
    with urllib.request.urlopen(url, timeout=5) as answer:
        details = json.load(answer).get("account_details") or []
    for account in details:
        for stream in account.get("stream_detail") or []:
            if stream["name"] != metadata["stream"]:
                continue
            for consumer in stream.get("consumer_detail") or []:
                if consumer["name"] == metadata["consumer"]:
                    return consumer["num_pending"] + consumer["num_ack_pending"]
    raise LookupError(f"{metadata['stream']}/{metadata['consumer']} is not in account {metadata['account']}")
