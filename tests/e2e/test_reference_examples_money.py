"""The worked examples of what disks cost and how they are paid, sent as they are written.

The pages of the reference and, for the actions that are newer than they, the examples of the newest client library.
Where an example tells all inputs its amounts have to come out; where it tells only some, its fields do.
"""

import json

import pytest

from harness.server import ZONE
from harness.signing import RawHttp
from test_reference_examples import Example, differences, send

HOURLY_PRICE = """{
  "DiscountPrice": null, "UnitPrice": %s, "UnitPriceHigh": "%s", "OriginalPriceHigh": null, "OriginalPrice": null,
  "UnitPriceDiscount": %s, "UnitPriceDiscountHigh": "%s", "DiscountPriceHigh": null, "ChargeUnit": "HOUR"
}"""
PREPAID_PRICE = """{
  "DiscountPrice": %s, "UnitPriceHigh": null, "OriginalPriceHigh": "%s", "OriginalPrice": %s,
  "UnitPriceDiscount": null, "UnitPriceDiscountHigh": null, "DiscountPriceHigh": "%s", "UnitPrice": null,
  "ChargeUnit": null
}"""


def hourly(plain, high):
    return '{"DiskPrice": ' + HOURLY_PRICE % (plain, high, plain, high) + "}"


def prepaid(plain, high):
    return '{"DiskPrice": ' + PREPAID_PRICE % (plain, high, plain, high) + "}"


PREPAID_MONTH = {"DiskChargeType": "PREPAID", "DiskChargePrepaid": {"Period": 1}}
FAST = {"DiskType": "CLOUD_HSSD", "DiskSize": 500}

# The example, the parameters of the disk that it speaks of, the page's id of it, and whether the amounts come out.
EXAMPLES = {
    "InquiryPriceCreateDisks 1": (
        Example(
            "InquiryPriceCreateDisks",
            "DiskType=CLOUD_TSSD&DiskCount=1&DiskSize=500&DiskChargeType=PREPAID&DiskChargePrepaid.Period=1"
            "&ThroughputPerformance=100",
            prepaid("800.0", "800"),
        ),
        None,
        None,
        True,
    ),
    "InquiryPriceCreateDisks 2": (
        Example(
            "InquiryPriceCreateDisks",
            "DiskType=CLOUD_PREMIUM&DiskSize=100&DiskCount=1&DiskChargeType=POSTPAID_BY_HOUR",
            hourly("0.04", "0.042"),
        ),
        None,
        None,
        True,
    ),
    # The page has `HOURL` for the unit here and in the next example; the data type has `HOUR`.
    "InquiryPriceResizeDisk": (
        Example("InquiryPriceResizeDisk", "DiskId=disk-dw0bbzws&DiskSize=200", hourly("0.18", "0.18")),
        {"DiskType": "CLOUD_SSD", "DiskSize": 100},
        "disk-dw0bbzws",
        True,
    ),
    "InquirePriceModifyDiskBackupQuota": (
        Example(
            "InquirePriceModifyDiskBackupQuota",
            '{"DiskId": "disk-xxxxxxxx", "DiskBackupQuota": 1}',
            hourly("0.06", "0.059"),
        ),
        {"DiskSize": 100},
        "disk-xxxxxxxx",
        True,
    ),
    "InquirePriceModifyDiskExtraPerformance": (
        Example(
            "InquirePriceModifyDiskExtraPerformance",
            "DiskId=disk-dritwhhm&ThroughputPerformance=200",
            prepaid("611.51", "611.51"),
        ),
        FAST | PREPAID_MONTH,
        "disk-dritwhhm",
        False,
    ),
    "InquiryPriceRenewDisks 1": (
        Example(
            "InquiryPriceRenewDisks",
            '{"DiskChargePrepaids": [{"Period": 1}], "DiskIds": ["disk-jwk0zvrg"]}',
            prepaid("450.0", "450"),
        ),
        FAST | PREPAID_MONTH,
        "disk-jwk0zvrg",
        True,
    ),
    "ModifyDiskBackupQuota": (
        Example("ModifyDiskBackupQuota", '{"DiskId": "disk-xxxxxxxx", "DiskBackupQuota": 1}', "{}"),
        {},
        "disk-xxxxxxxx",
        False,
    ),
    "ModifyDiskExtraPerformance": (
        Example(
            "ModifyDiskExtraPerformance",
            '{"ThroughputPerformance": "300", "DiskId": "disk-dritwhhm"}',
            "{}",
        ),
        {"DiskType": "CLOUD_TSSD", "DiskSize": 500},
        "disk-dritwhhm",
        False,
    ),
    "ModifyDisksChargeType": (
        Example(
            "ModifyDisksChargeType", '{"DiskIds": ["disk-jwk0zvrg"], "DiskChargePrepaid": {"Period": 1}}', "{}"
        ),
        {},
        "disk-jwk0zvrg",
        False,
    ),
    "ModifyDisksRenewFlag": (
        Example("ModifyDisksRenewFlag", "DiskIds.0=disk-5w50lrms&RenewFlag=NOTIFY_AND_AUTO_RENEW", "{}"),
        PREPAID_MONTH,
        "disk-5w50lrms",
        False,
    ),
    "RenewDisk 1": (
        Example(
            "RenewDisk",
            '{"DiskChargePrepaid": {"RenewFlag": "NOTIFY_AND_AUTO_RENEW", "Period": 1}, "DiskId": "disk-jwk0zvrg"}',
            "{}",
        ),
        PREPAID_MONTH,
        "disk-jwk0zvrg",
        False,
    ),
    # The page's instance ends in 2018: in the past, where no renewal can end. Here it ends in 2099.
    "RenewDisk 2": (
        Example(
            "RenewDisk",
            '{"DiskChargePrepaid": {"RenewFlag": "NOTIFY_AND_AUTO_RENEW", "CurInstanceDeadline": '
            '"2099-03-30 20:15:03", "Period": 1}, "DiskId": "disk-jwk0zvrg"}',
            "{}",
        ),
        PREPAID_MONTH,
        "disk-jwk0zvrg",
        False,
    ),
}

@pytest.fixture(scope="module")
def raw(server):
    """Requests signed by hand to the module's server."""
    return RawHttp(server)


def check_effect(cloud, name, disk):
    """What the example says that the call does."""
    found = cloud.disk(disk)
    if name == "ModifyDiskBackupQuota":
        assert found["DiskBackupQuota"] == 1
    elif name == "ModifyDiskExtraPerformance":
        assert found["ThroughputPerformance"] == 300
    elif name == "ModifyDisksChargeType":
        assert (found["DiskChargeType"], found["RenewFlag"]) == ("PREPAID", "NOTIFY_AND_MANUAL_RENEW")
        assert found["DeadlineTime"] and found["DifferDaysOfDeadline"] >= 27 and found["IsReturnable"]
    elif name == "ModifyDisksRenewFlag":
        assert found["RenewFlag"] == "NOTIFY_AND_AUTO_RENEW"
    elif name == "RenewDisk 1":
        assert (found["RenewFlag"], found["DifferDaysOfDeadline"] >= 55) == ("NOTIFY_AND_AUTO_RENEW", True)
    elif name == "RenewDisk 2":
        assert found["DeadlineTime"] == "2099-04-30 20:15:03"
    else:
        assert name.startswith("Inquir"), name


@pytest.mark.parametrize("encoding", ["json", "form", "query"])
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_about_money_is_answered_as_documented(raw, cloud, name, encoding):
    example, disk_parameters, documented_id, exact = EXAMPLES[name]
    ids = {}
    if documented_id:
        ids = {documented_id: cloud.create_disk(Placement={"Zone": ZONE}, **disk_parameters)}
    answer = send(raw, example, ids, encoding)
    documented = json.loads(example.answer)
    wrong = list(differences(documented, answer))
    assert not wrong, "\n".join(wrong)
    assert set(answer) == {*documented, "RequestId"}
    if exact:
        shown = {name: answer["DiskPrice"][name] for name in documented["DiskPrice"]}
        assert shown == documented["DiskPrice"]
    if "DetailPrices" in answer.get("DiskPrice", {}):
        price = answer["DiskPrice"]
        for field in ("OriginalPrice", "DiscountPrice", "UnitPrice", "UnitPriceDiscount"):
            if price[field] is not None:
                assert round(sum(part[field] for part in price["DetailPrices"]), 2) == price[field]
        names = [part["PriceName"] for part in price["DetailPrices"]]
        assert names == ["DiskSpace", "DiskExtraPerformance", "DiskBackupQuota"]
    if ids:
        check_effect(cloud, name, *ids.values())
