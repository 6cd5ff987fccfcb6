"""Requests that no SDK sends: each gets HTTP 200 with a documented error, and the server goes on."""

import contextlib
import hashlib
import http.client
import json
import socket
import time
import urllib.parse

import pytest
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException

from harness.cloud import sdk_client
from harness.signing import RawHttp, error_code, tc3_headers, v1_parameters

FORM = "application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def raw(server):
    """Hand-written requests to the module's server."""
    return RawHttp(server)


@pytest.fixture(autouse=True)
def still_serving(raw):
    """After every test of this file the server answers a good call."""
    yield
    assert raw.tc3("DescribeDisks")["TotalCount"] == 0


def test_both_generations_of_signatures_by_hand(raw):
    for answer in (
        raw.tc3("DescribeDisks"),
        raw.tc3("DescribeDisks", b'{"Limit":"1"}', content_type="application/json; charset=utf-8"),
        raw.tc3("DescribeDisks", content_type="application/octet-stream"),
        raw.tc3_get("DescribeDisks", "Limit=1&Offset=0"),
        raw.tc3_get(
            "DescribeDisks", "Offset=0&Filters.0.Values.0=a%20b&Filters.0.Values.1=c+d&Filters.0.Name=disk-name"
        ),
        raw.v1_get("DescribeDisks", {"Limit": "1"}),
        raw.v1_get("DescribeDisks", digest="HmacSHA1"),
        raw.v1_post("DescribeDisks", {"Filters.0.Name": "zone", "Filters.0.Values.0": "ap-guangzhou-1"}),
        raw.v1_post("DescribeDisks", digest="HmacSHA1"),
    ):
        assert answer.get("TotalCount") == 0, answer


@pytest.mark.parametrize("signed", ["http://127.0.0.1:{port}", "127.0.0.1:{port}", "localhost", "cbs.anything.test:1"])
def test_any_host_header_is_taken_as_written(raw, server, signed):
    host = signed.format(port=server.port)
    assert raw.tc3("DescribeDisks", host=host)["TotalCount"] == 0


def test_a_host_signed_without_its_port_is_accepted(raw):
    signed = tc3_headers(raw.key, "DescribeDisks", b"{}", host="127.0.0.1", service="127")
    assert raw.send("POST", "/", signed | {"Host": "127.0.0.1:18080"}, b"{}")["TotalCount"] == 0


def test_an_unsigned_payload_is_accepted(raw):
    digest = hashlib.sha256(b"UNSIGNED-PAYLOAD").hexdigest()
    answer = raw.tc3(
        "DescribeDisks",
        b'{"Limit": 3}',
        payload_hash=digest,
        headers={"X-TC-Content-SHA256": "UNSIGNED-PAYLOAD"},
    )
    assert answer["TotalCount"] == 0


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"Authorization": None}, "AuthFailure"),
        ({"Authorization": "SKIP"}, "AuthFailure"),
        ({"Authorization": "TC3-HMAC-SHA256"}, "AuthFailure"),
        ({"Authorization": "TC3-HMAC-SHA256 Credential=a/b, SignedHeaders=, Signature="}, "AuthFailure"),
        ({"Authorization": "Basic dXNlcjpwYXNz"}, "AuthFailure"),
        ({"X-TC-Timestamp": None}, None),
        ({"X-TC-Timestamp": "now"}, None),
        ({"X-TC-Timestamp": "99999999999999999999"}, None),
        ({"X-TC-Token": "temporary"}, "AuthFailure.TokenFailure"),
        ({"X-TC-Action": "DescribeDisk"}, "InvalidAction"),
        ({"X-TC-Action": "CreateRemoteDisks"}, "InvalidAction"),
        ({"X-TC-Action": None}, None),
        ({"X-TC-Version": "2016-01-01"}, "NoSuchVersion"),
        ({"X-TC-Version": None}, None),
        ({"X-TC-Region": "ap-nowhere"}, "UnsupportedRegion"),
        ({"X-TC-Region": "\u00e9".encode("latin-1")}, None),
    ],
    ids=str,
)
def test_wrong_headers(raw, changed, expected):
    code = error_code(raw.tc3("DescribeDisks", headers=changed))
    assert code and code != "InternalError"
    assert expected is None or code == expected or code.startswith(expected + "."), code


def test_a_signature_that_is_off_by_one_character_fails(raw):
    signed = tc3_headers(raw.key, "DescribeDisks", b"{}")
    last = signed["Authorization"][-1]
    signed["Authorization"] = signed["Authorization"][:-1] + ("0" if last != "0" else "1")
    assert error_code(raw.send("POST", "/", signed, b"{}")) == "AuthFailure.SignatureFailure"
    signed = tc3_headers(raw.key, "DescribeDisks", b"{}")
    assert error_code(raw.send("POST", "/", signed, b"{ }")) == "AuthFailure.SignatureFailure"


def test_a_request_is_good_for_five_minutes(raw):
    now = int(time.time())
    for timestamp in (now - 290, now + 290):
        assert raw.tc3("DescribeDisks", timestamp=timestamp)["TotalCount"] == 0
    for timestamp in (now - 330, now + 330, 0):
        assert error_code(raw.tc3("DescribeDisks", timestamp=timestamp)) == "AuthFailure.SignatureExpire"
        assert error_code(raw.v1_get("DescribeDisks", Timestamp=str(timestamp))) == "AuthFailure.SignatureExpire"


def test_a_replayed_nonce_is_refused(raw):
    signed = v1_parameters(raw.key, "DescribeDisks")
    target = "/?" + urllib.parse.urlencode(signed)
    assert raw.send("GET", target)["TotalCount"] == 0
    assert error_code(raw.send("GET", target)).startswith("AuthFailure")


def test_other_methods_are_refused(raw):
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS"):
        assert (
            error_code(raw.send(method, "/", tc3_headers(raw.key, "DescribeDisks", b"{}"), b""))
            == "UnsupportedProtocol"
        )


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", None),
        (b"{", "InvalidParameter"),
        (b"[]", "InvalidParameter"),
        (b"null", None),
        (b'{"Limit":1,"Limit":2}', "InvalidParameter"),
        (b'{"Limit":1.5}', "InvalidParameter"),
        (b'{"Limit":1e400}', "InvalidParameter"),
        (b'{"Limit":99999999999999999999}', None),
        (b'{"DiskIds":["\xff"]}', "InvalidParameter"),
        (b"[" * 100_000, "InvalidParameter"),
        (b'{"Filters":' + b'[{"Values":' * 5_000, "InvalidParameter"),
        (b'{"DiskIds":{"0":"disk-00000000"}}', "InvalidParameter"),
        (b'{"disk":1}', "UnknownParameter"),
    ],
    ids=lambda value: repr(value[:30]) if isinstance(value, bytes) else "",
)
def test_wrong_json(raw, body, code):
    answer = raw.tc3("DescribeDisks", body)
    if body in (b"", b"null") and "Error" not in answer:
        return  # No parameters at all: as good as an empty object.
    assert error_code(answer) != "InternalError"
    assert code is None or error_code(answer).startswith(code), answer


@pytest.mark.parametrize(
    "query",
    [
        "DiskIds.1=disk-00000000",
        "DiskIds.x=disk-00000000",
        "DiskIds=disk-00000000",
        "DiskIds.4294967296=a",
        "Limit=1&Limit=2",
        "Filters.0.Name.Deep=x",
        "Limit=%zz",
        "Limit=%ff",
        "Colour=red",
        ".=.",
        "Limit=",
        "=1",
    ],
)
def test_wrong_query(raw, query):
    code = error_code(raw.tc3_get("DescribeDisks", query))
    assert code and code != "InternalError"


def test_wrong_forms_and_content_types(raw):
    boundary = "multipart/form-data; boundary=xyz"
    good = b'--xyz\r\nContent-Disposition: form-data; name="Limit"\r\n\r\n1\r\n--xyz--\r\n'
    assert raw.tc3("DescribeDisks", good, content_type=boundary)["TotalCount"] == 0
    assert raw.tc3("DescribeDisks", b"", content_type=boundary)["TotalCount"] == 0, "the SDK's form of no parameters"
    for body in (
        b"--xyz",
        b"--abc--",
        good[:-10],
        good.replace(b"form-data", b"attachment"),
        good.replace(b'name="Limit"', b'name="Colour"'),
    ):
        code = error_code(raw.tc3("DescribeDisks", body, content_type=boundary))
        assert code and code != "InternalError", body
    for content_type in ("multipart/form-data", "text/plain", "application/xml", "image/png; a=b"):
        code = error_code(raw.tc3("DescribeDisks", content_type=content_type))
        assert code and code != "InternalError", content_type
    assert error_code(raw.send("POST", "/", {"Content-Type": FORM}, b"Action=DescribeDisks&%")) is not None


def test_requests_beyond_their_size_are_refused(raw):
    assert error_code(raw.tc3_get("DescribeDisks", "DiskIds.0=" + "x" * (33 * 1024))) == "RequestSizeLimitExceeded"
    form = {"DiskIds.0": "x" * (1 << 20)}
    assert error_code(raw.v1_post("DescribeDisks", form)) == "RequestSizeLimitExceeded"
    large = b'{"DiskIds":["' + b"x" * (10 << 20) + b'"]}'
    assert error_code(raw.tc3("DescribeDisks", large)) == "RequestSizeLimitExceeded"
    long = json.dumps({"DiskIds": ["x" * (2 << 20)]}).encode()
    assert error_code(raw.tc3("DescribeDisks", long)) not in (None, "RequestSizeLimitExceeded", "InternalError")


def test_slow_and_broken_connections_disturb_nobody(server, raw):
    idle = [socket.create_connection((server.host, server.port)) for _ in range(20)]
    for number, connection in enumerate(idle):
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"[: 5 * number + 1])
    assert raw.tc3("DescribeDisks")["TotalCount"] == 0
    for connection in idle:
        connection.close()
    for garbage in (b"\x00" * 64, b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00"):
        with socket.create_connection((server.host, server.port), timeout=10) as connection:
            connection.sendall(garbage)
            connection.shutdown(socket.SHUT_WR)
            connection.recv(4096)


def test_silent_connections_shut_nobody_out(server, raw):
    with contextlib.ExitStack() as stack:
        for _ in range(600):
            stack.enter_context(socket.create_connection((server.host, server.port), timeout=10))
        assert raw.tc3("DescribeDisks")["TotalCount"] == 0


def test_one_connection_carries_many_calls(server, raw):
    connection = http.client.HTTPConnection(server.host, server.port, timeout=30)
    for _ in range(5):
        connection.request("POST", "/", b"{}", tc3_headers(raw.key, "DescribeDisks", b"{}"))
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["Response"]["TotalCount"]) == (200, 0)
    connection.close()


def test_the_sdk_without_a_signature_is_refused(server):
    with pytest.raises(TencentCloudSDKException) as refused:
        sdk_client(server).call_json("DescribeDisks", {}, options={"SkipSign": True})
    assert refused.value.code.startswith("AuthFailure")


def test_the_sdk_with_an_octet_stream(server):
    answer = sdk_client(server).call_octet_stream("DescribeDisks", {}, b'{"Limit": 1}')
    assert answer["Response"]["TotalCount"] == 0


def test_unknown_actions_and_versions_through_the_sdk(server):
    client = sdk_client(server)
    with pytest.raises(TencentCloudSDKException) as refused:
        client.call_json("CreateRemoteDisks", {})
    assert refused.value.code == "InvalidAction"
    client._apiVersion = "2020-01-01"
    with pytest.raises(TencentCloudSDKException) as refused:
        client.call_json("DescribeDisks", {})
    assert refused.value.code == "NoSuchVersion"
