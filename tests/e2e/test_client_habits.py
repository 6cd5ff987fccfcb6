"""Habits of the official SDKs in other languages, which are not installed here: each as its source writes it."""

import base64
import hashlib
import hmac
import time
import urllib.parse

import pytest

from harness.server import ZONE
from harness.signing import RawHttp, tc3_headers, v1_parameters

FILTERS = {"Filters.0.Name": "disk-name", "Filters.0.Values.0": "none", "Filters.0.Values.1": "ä b~*'"}


@pytest.fixture(scope="module")
def raw(server):
    """Requests signed by hand to the module's server."""
    return RawHttp(server)


def answered(answer):
    """The answer, which is no error."""
    assert "Error" not in answer, answer["Error"]
    return answer


@pytest.mark.parametrize("service", ["cbs", "127", "localhost:18080", "http://127", "ecm"])
def test_the_service_in_the_scope_is_what_the_client_made_of_its_endpoint(raw, service):
    answered(raw.tc3("DescribeDisks", service=service))
    answered(raw.tc3("DescribeZones", service=service))
    answered(raw.tc3("GetCallerIdentity", service=service, version="2018-08-13"))


def test_a_path_in_the_endpoint_is_sent_and_not_signed(raw):
    signed = tc3_headers(raw.key, "DescribeDisks", b"{}")
    answered(raw.send("POST", "/some/path", signed, b"{}"))


def test_names_of_headers_may_be_written_in_any_case(raw):
    signed = tc3_headers(raw.key, "DescribeDisks", b"{}")
    host = signed.pop("Host")
    for change in (str.lower, str.upper, str.title):
        answered(raw.send("POST", "/", {"Host": host} | {change(name): signed[name] for name in signed}, b"{}"))


def test_headers_that_clients_add_change_nothing(raw):
    added = {
        "X-TC-RequestClient": "Terraform-1.0,id=disk-x",
        "X-TC-TraceId": "6f1b5b3a-5b5b-4b5b-8b5b-5b5b5b5b5b5b",
        "X-TC-Language": "",
        "Accept-Encoding": "gzip, deflate",
        "Connection": "close",
    }
    answered(raw.tc3("DescribeDisks", headers=added))


@pytest.mark.parametrize(
    ("digest", "method"), [("HmacSHA1", "GET"), ("HmacSHA256", "GET"), ("HmacSHA1", "POST"), ("HmacSHA256", "POST")]
)
def test_an_older_request_with_everything_that_clients_put_into_it(raw, digest, method):
    longest_nonce = str(2**63 - 1 - time.time_ns() % 10**9)
    common = {"Nonce": longest_nonce, "Region": "", "RequestClient": "SDK_GO_1.3.164", "Language": "en-US"}
    send = raw.v1_get if method == "GET" else raw.v1_post
    found = answered(send("DescribeDisks", FILTERS | {"ReturnBindAutoSnapshotPolicy": "True"}, digest=digest, **common))
    assert found["TotalCount"] == 0


def test_a_signature_may_end_in_a_newline(raw):
    """Ruby's base64 ends in one."""
    wanted = v1_parameters(raw.key, "DescribeDisks", digest="HmacSHA1")
    wanted["Signature"] += "\n"
    answered(raw.send("GET", "/?" + urllib.parse.urlencode(wanted)))


def test_without_a_signature_method_it_is_hmac_sha1(raw):
    answered(raw.send("GET", "/?" + urllib.parse.urlencode(unnamed_method(raw.key))))


def unnamed_method(key):
    """Parameters that do not name the method of their signature."""
    wanted = v1_parameters(key, "DescribeDisks", digest="HmacSHA1")
    del wanted["SignatureMethod"], wanted["Signature"]
    text = "GETcbs.test/?" + "&".join(f"{name}={wanted[name]}" for name in sorted(wanted))
    digest = hmac.new(key[1].encode(), text.encode(), hashlib.sha1).digest()
    return wanted | {"Signature": base64.b64encode(digest).decode()}


@pytest.mark.parametrize(
    "query",
    [
        "Limit=1&Filters.0.Name=disk-name&Filters.0.Values.0=a+b%7E~*",
        "Filters.0.Values.0=a%20b*~&Filters.0.Name=disk-name&Limit=1",
        "Filters.0.Values.0=%C3%A4&Limit=1&Filters.0.Name=disk-name",
    ],
)
def test_a_query_is_signed_as_it_is_sent(raw, query):
    answered(raw.tc3_get("DescribeDisks", query))


def test_flat_requests_say_true_and_false_in_two_ways(raw):
    for word, shown in (("True", True), ("true", True), ("False", False), ("false", False)):
        wanted = {"DiskType": "CLOUD_PREMIUM", "DiskSize": "10", "DiskChargeType": "POSTPAID_BY_HOUR"}
        wanted |= {"Placement.Zone": ZONE, "BurstPerformance": word}
        (disk,) = answered(raw.v1_post("CreateDisks", wanted))["DiskIdSet"]
        # What was created is there for the very next call.
        (found,) = answered(raw.v1_get("DescribeDisks", {"DiskIds.0": disk}))["DiskSet"]
        assert found["BurstPerformance"] is shown
        answered(raw.v1_post("TerminateDisks", {"DiskIds.0": disk}))
        assert answered(raw.v1_get("DescribeDisks", {"DiskIds.0": disk}))["TotalCount"] == 0
