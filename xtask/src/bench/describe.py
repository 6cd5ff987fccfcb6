"""Load on one listing call: DescribeDisks here, DescribeVolumes of moto's server as the peer, taking turns.

Arguments: the server's admin.env, a folder for scripts, how many disks there are, rounds, seconds of each run, the Python
that has moto. The load is wrk's. Each request is signed beforehand with TC3-HMAC-SHA256 and asks for another page of
twenty. At last disks are made one after the other, each until a list says that it can be used. Prints one JSON object.
"""

import hashlib
import hmac
import http.client
import json
import pathlib
import random
import re
import socket
import statistics
import subprocess
import sys
import time
from datetime import UTC, datetime

PAGES = 100
CONNECTIONS = 16
PATIENT_CONNECTIONS = 50
CREATED = 100


def settings(path):
    lines = (line.strip().removeprefix("export ") for line in pathlib.Path(path).read_text().splitlines())
    return {name: value.strip("'\"") for name, _, value in (line.partition("=") for line in lines) if value}


def signed(env, host, body, action="DescribeDisks"):
    """The headers of a call."""
    stamp = int(time.time())
    date = datetime.fromtimestamp(stamp, UTC).strftime("%Y-%m-%d")
    digest = hashlib.sha256(body.encode()).hexdigest()
    canonical = f"POST\n/\n\ncontent-type:application/json\nhost:{host}\n\ncontent-type;host\n{digest}"
    scope = f"{date}/cbs/tc3_request"
    text = f"TC3-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = ("TC3" + env["TENCENTCLOUD_SECRET_KEY"]).encode()
    for part in (date, "cbs", "tc3_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    return {
        "Content-Type": "application/json",
        "Host": host,
        "X-TC-Action": action,
        "X-TC-Version": "2017-03-12",
        "X-TC-Timestamp": str(stamp),
        "X-TC-Region": env["TENCENTCLOUD_REGION"],
        "Authorization": f"TC3-HMAC-SHA256 Credential={env['TENCENTCLOUD_SECRET_ID']}/{scope}, "
        f"SignedHeaders=content-type;host, Signature={signature}",
    }


def script(path, requests, delay_ms):
    """A wrk script that sends these requests in turn."""
    quote = json.dumps
    lines = ["local requests = {}"]
    for number, (method, target, headers, body) in enumerate(requests, 1):
        pairs = ", ".join(f"[{quote(name)}] = {quote(value)}" for name, value in headers.items())
        lines.append(f"requests[{number}] = {{{quote(method)}, {quote(target)}, {{{pairs}}}, {quote(body)}}}")
    lines += [
        "local raw, at = {}, 0",
        "function init() for i, r in ipairs(requests) do raw[i] = wrk.format(r[1], r[2], r[3], r[4]) end end",
        "function request() at = at % #raw + 1 return raw[at] end",
        "local bad = 0",
        'function response(status, headers, body) if status ~= 200 or body:find("\\"Error\\"") then wrk.thread:stop() end end'
        if delay_ms is None
        else f"function delay() return {delay_ms} end",
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def load(url, lua, connections, seconds):
    """Requests a second, and the 99th percentile in ms."""
    command = ["wrk", "-t2", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(lua), url]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in text and "Socket errors" not in text, text
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])
    amount, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", text).groups()
    return rate, float(amount) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def call(connection, env, host, action, parameters):
    body = json.dumps(parameters)
    connection.request("POST", "/", body, signed(env, host, body, action))
    answer = json.loads(connection.getresponse().read())["Response"]
    assert "Error" not in answer, answer
    return answer


def usable(env, host):
    """Milliseconds from asking for a disk until a list says that it can be attached."""
    connection = http.client.HTTPConnection(host)
    connection.connect()
    start = time.perf_counter()
    wanted = {
        "Placement": {"Zone": env["TENCENTCLOUD_REGION"] + "-3"},
        "DiskType": "CLOUD_PREMIUM",
        "DiskChargeType": "POSTPAID_BY_HOUR",
        "DiskSize": 20,
    }
    ids = call(connection, env, host, "CreateDisks", wanted)["DiskIdSet"]
    states = []
    while states != ["UNATTACHED"]:
        found = call(connection, env, host, "DescribeDisks", {"DiskIds": ids})["DiskSet"]
        states = [disk["DiskState"] for disk in found]
    taken_ms = (time.perf_counter() - start) * 1000
    connection.close()
    return taken_ms


class Moto:
    """moto's server with as many volumes."""

    def __init__(self, python, count):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        command = [python, "-c", "from moto.server import main; main()", "-H", "127.0.0.1"]
        self.process = subprocess.Popen(
            [*command, "-p", str(self.port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.volumes = []
        while not self.volumes:
            if self.process.poll() is not None:
                raise SystemExit(f"moto's server did not start with {python}")
            try:
                self._create(1)
            except ConnectionRefusedError:
                pass
        self._create(count - 1)

    headers = {
        "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
        "Authorization": "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/ec2/aws4_request, SignedHeaders=host, "
        "Signature=0",
    }

    def _create(self, count):
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        body = "Action=CreateVolume&Version=2016-11-15&AvailabilityZone=us-east-1a&Size=10"
        for _ in range(count):
            connection.request("POST", "/", body, self.headers)
            answer = connection.getresponse().read().decode()
            self.volumes.append(re.search(r"<volumeId>(vol-\w+)<", answer)[1])

    def requests(self):
        """Twenty volumes by id: a page as this server can answer it."""
        for _ in range(PAGES):
            some = random.sample(self.volumes, 20)
            ids = "".join(f"&VolumeId.{number}={volume}" for number, volume in enumerate(some, 1))
            host = {"Host": f"127.0.0.1:{self.port}"}
            yield "POST", "/", self.headers | host, f"Action=DescribeVolumes&Version=2016-11-15{ids}"


def main():
    env_path, folder, disks, rounds, seconds = sys.argv[1], pathlib.Path(sys.argv[2]), *map(int, sys.argv[3:6])
    env = settings(env_path)
    host = env["ASHLAR_ENDPOINT"].partition("://")[2]

    def pages():
        for _ in range(PAGES):
            body = json.dumps({"Limit": 20, "Offset": 20 * random.randrange(disks // 20)})
            yield "POST", "/", signed(env, host, body), body

    connection = http.client.HTTPConnection(host)
    _, _, headers, body = next(pages())
    connection.request("POST", "/", body, headers)
    answer = json.loads(connection.getresponse().read())["Response"]
    assert answer["TotalCount"] == disks and len(answer["DiskSet"]) == 20, answer

    moto = Moto(sys.argv[6], disks)
    results = {"ashlar": [], "moto": [], "half": []}
    try:
        moto_lua = script(folder / "moto.lua", list(moto.requests()), None)
        for _ in range(rounds):
            # Signed anew each round: a signature holds for five minutes.
            lua = script(folder / "ashlar.lua", list(pages()), None)
            results["ashlar"].append(load(env["ASHLAR_ENDPOINT"], lua, CONNECTIONS, seconds))
            rate = statistics.median(rate for rate, _ in results["ashlar"])
            delay_ms = max(1, round(PATIENT_CONNECTIONS / (rate / 2) * 1000))
            lua = script(folder / "half.lua", list(pages()), delay_ms)
            results["half"].append(load(env["ASHLAR_ENDPOINT"], lua, PATIENT_CONNECTIONS, seconds))
            results["moto"].append(load(f"http://127.0.0.1:{moto.port}", moto_lua, CONNECTIONS, seconds))
    finally:
        moto.process.terminate()
        moto.process.wait()
    results["usable"] = sorted(usable(env, host) for _ in range(CREATED))
    print(json.dumps(results))


main()
