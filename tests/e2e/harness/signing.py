"""Requests signed by hand, for what no SDK sends: TC3-HMAC-SHA256 and the older HmacSHA1 and HmacSHA256."""

import base64
import contextlib
import hashlib
import hmac
import http.client
import json
import time
import urllib.parse
from datetime import UTC, datetime

VERSION = "2017-03-12"


def _hmac_sha256(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def tc3_headers(
    key,
    action,
    body=b"",
    *,
    method="POST",
    query="",
    content_type="application/json",
    host="cbs.test",
    service="cbs",
    version=VERSION,
    region="ap-guangzhou",
    timestamp=None,
    payload_hash=None,
):
    """The headers of a TC3 request, `Host` included. `key` is (SecretId, SecretKey)."""
    secret_id, secret_key = key
    timestamp = int(time.time()) if timestamp is None else timestamp
    date = datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d")
    payload_hash = payload_hash or hashlib.sha256(body).hexdigest()
    canonical = f"{method}\n/\n{query}\ncontent-type:{content_type}\nhost:{host}\n\ncontent-type;host\n{payload_hash}"
    scope = f"{date}/{service}/tc3_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    signing_key = f"TC3{secret_key}".encode()
    for part in (date, service, "tc3_request"):
        signing_key = _hmac_sha256(signing_key, part)
    signature = _hmac_sha256(signing_key, f"TC3-HMAC-SHA256\n{timestamp}\n{scope}\n{digest}").hex()
    headers = {
        "Host": host,
        "Content-Type": content_type,
        "Authorization": (
            f"TC3-HMAC-SHA256 Credential={secret_id}/{scope}, SignedHeaders=content-type;host, Signature={signature}"
        ),
        "X-TC-Action": action,
        "X-TC-Timestamp": str(timestamp),
        "X-TC-Version": version,
    }
    return headers | ({"X-TC-Region": region} if region else {})


def v1_parameters(key, action, parameters=None, *, method="GET", host="cbs.test", digest="HmacSHA256", **common):
    """The parameters of an older request, `Signature` included. `common` replaces common parameters."""
    secret_id, secret_key = key
    wanted = (
        {
            "Action": action,
            "Version": VERSION,
            "Region": "ap-guangzhou",
            "Timestamp": str(int(time.time())),
            "Nonce": str(time.time_ns()),
            "SecretId": secret_id,
            "SignatureMethod": digest,
        }
        | common
        | (parameters or {})
    )
    text = f"{method}{host}/?" + "&".join(f"{name}={wanted[name]}" for name in sorted(wanted))
    function = {"HmacSHA1": hashlib.sha1, "HmacSHA256": hashlib.sha256}[digest]
    signature = hmac.new(secret_key.encode(), text.encode(), function).digest()
    return wanted | {"Signature": base64.b64encode(signature).decode()}


class RawHttp:
    """Requests to a server exactly as written; checks what is true of every answer."""

    def __init__(self, server):
        self._server = server
        environment = server.admin_environment()
        self.key = (environment["TENCENTCLOUD_SECRET_ID"], environment["TENCENTCLOUD_SECRET_KEY"])

    def send(self, method, target, headers=None, body=b""):
        """Sends a request and returns the content of `Response`."""
        connection = http.client.HTTPConnection(self._server.host, self._server.port, timeout=30)
        try:
            connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            headers = {"Host": "cbs.test"} | (headers or {})
            for name, value in headers.items():
                connection.putheader(name, value)
            if body or method == "POST":
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders()
            if body:
                # The server may answer before it has read a body that is too large.
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    connection.send(body)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        assert answer.status == 200, (answer.status, text)
        assert answer.getheader("Content-Type") == "application/json"
        content = json.loads(text)["Response"]
        assert len(content["RequestId"]) == 36
        return content

    def tc3(self, action, body=b"{}", *, headers=None, **options):
        """A signed TC3 POST; `headers` replaces or adds headers after signing, None takes one away."""
        signed = tc3_headers(self.key, action, body, **options) | (headers or {})
        return self.send("POST", "/", {name: value for name, value in signed.items() if value is not None}, body)

    def tc3_get(self, action, query="", **options):
        """A signed TC3 GET."""
        content_type = "application/x-www-form-urlencoded"
        signed = tc3_headers(self.key, action, b"", method="GET", query=query, content_type=content_type, **options)
        return self.send("GET", f"/?{query}", signed)

    def v1_get(self, action, parameters=None, **options):
        """A GET signed the older way."""
        signed = v1_parameters(self.key, action, parameters, method="GET", **options)
        return self.send("GET", "/?" + urllib.parse.urlencode(signed))

    def v1_post(self, action, parameters=None, **options):
        """A POST of a form signed the older way."""
        signed = v1_parameters(self.key, action, parameters, method="POST", **options)
        body = urllib.parse.urlencode(signed).encode()
        return self.send("POST", "/", {"Content-Type": "application/x-www-form-urlencoded"}, body)


def error_code(content):
    """The error code of an answer, or None."""
    return content.get("Error", {}).get("Code")
