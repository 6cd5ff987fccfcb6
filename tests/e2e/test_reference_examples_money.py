"""The worked examples of what disks cost and how they are paid, sent as they are written.

The pages of the reference and, for the actions that are newer than they, the examples of the newest description.
"""

import pytest

from harness.examples import ENCODINGS, Example, Tenant, check_answer, send

HOURLY_PRICE = """{"DiskPrice": {
  "DiscountPrice": null, "UnitPrice": %s, "UnitPriceHigh": "%s", "OriginalPriceHigh": null, "OriginalPrice": null,
  "UnitPriceDiscount": %s, "UnitPriceDiscountHigh": "%s", "DiscountPriceHigh": null, "ChargeUnit": "HOUR"
}}"""
PREPAID_PRICE = """{"DiskPrice": {
  "DiscountPrice": %s, "UnitPriceHigh": null, "OriginalPriceHigh": "%s", "OriginalPrice": %s,
  "UnitPriceDiscount": null, "UnitPriceDiscountHigh": null, "DiscountPriceHigh": "%s", "UnitPrice": null,
  "ChargeUnit": null
}}"""
# The description calls prices fractions; its example writes these without one.
RENEWAL_PRICE = """{"DiskPrice": {
  "UnitPriceDiscountHigh": null, "DiscountPrice": 250.0, "DetailPrices": [{
    "PriceTitle": "云硬盘备份点配额", "DiscountPrice": 0.0, "ChargeUnit": null, "UnitPriceHigh": null,
    "OriginalPriceHigh": null, "PriceName": "DiskBackupQuota", "OriginalPrice": 0.0, "UnitPriceDiscountHigh": null,
    "UnitPriceDiscount": null, "DiscountPriceHigh": null, "UnitPrice": null
  }, {
    "PriceTitle": "云硬盘空间", "DiscountPrice": 250.0, "ChargeUnit": null, "UnitPriceHigh": null,
    "OriginalPriceHigh": null, "PriceName": "DiskSpace", "OriginalPrice": 500.0, "UnitPriceDiscountHigh": null,
    "UnitPriceDiscount": null, "DiscountPriceHigh": null, "UnitPrice": null
  }], "UnitPriceHigh": null, "OriginalPriceHigh": "500", "ChargeUnit": null, "OriginalPrice": 500.0,
  "UnitPriceDiscount": null, "DiscountPriceHigh": "250", "UnitPrice": null
}}"""
OF_ANOTHER_DISK = {
    name: "the example does not say which disk it is"
    for name in ("OriginalPrice", "OriginalPriceHigh", "DiscountPrice", "DiscountPriceHigh", "DetailPrices")
}


def hourly(plain, high, unit="HOUR"):
    """The output of an inquiry about a disk that is paid by the hour."""
    return (HOURLY_PRICE % (plain, high, plain, high)).replace('"HOUR"', f'"{unit}"')


def prepaid(plain, high):
    """The output of an inquiry about a disk that is paid in advance."""
    return PREPAID_PRICE % (plain, high, plain, high)


UNIT = {"ChargeUnit": "the data type has HOUR"}
PREPAID_MONTH = {"DiskChargeType": "PREPAID", "DiskChargePrepaid": {"Period": 1}}
FAST = {"DiskType": "CLOUD_HSSD", "DiskSize": 500}

EXAMPLES = {
    "InquiryPriceCreateDisks 1": Example(
        "InquiryPriceCreateDisks",
        "DiskType=CLOUD_TSSD&DiskCount=1&DiskSize=500&DiskChargeType=PREPAID&DiskChargePrepaid.Period=1"
        "&ThroughputPerformance=100",
        prepaid("800.0", "800"),
    ),
    "InquiryPriceCreateDisks 2": Example(
        "InquiryPriceCreateDisks",
        "DiskType=CLOUD_PREMIUM&DiskSize=100&DiskCount=1&DiskChargeType=POSTPAID_BY_HOUR",
        hourly("0.04", "0.042"),
    ),
    "InquiryPriceResizeDisk": Example(
        "InquiryPriceResizeDisk", "DiskId=disk-dw0bbzws&DiskSize=200", hourly("0.18", "0.18", "HOURLY"), free=UNIT
    ),
    "InquirePriceModifyDiskBackupQuota": Example(
        "InquirePriceModifyDiskBackupQuota",
        '{"DiskId": "disk-xxxxxxxx", "DiskBackupQuota": 1}',
        hourly("0.06", "0.059", "HOURL"),
        free=UNIT,
    ),
    "InquirePriceModifyDiskExtraPerformance": Example(
        "InquirePriceModifyDiskExtraPerformance",
        "DiskId=disk-dritwhhm&ThroughputPerformance=200",
        prepaid("611.51", "611.51").replace('"611.51"', "null"),
        free=OF_ANOTHER_DISK,
    ),
    "InquiryPriceRenewDisks 1": Example(
        "InquiryPriceRenewDisks",
        '{"DiskChargePrepaids": [{"Period": 1}], "DiskIds": ["disk-jwk0zvrg"]}',
        RENEWAL_PRICE,
        free=OF_ANOTHER_DISK,
    ),
    # The instance of the example ends in 2018: in the past, where no renewal can end. Here it ends in 2099.
    "InquiryPriceRenewDisks 2": Example(
        "InquiryPriceRenewDisks",
        '{"DiskChargePrepaids": [{"CurInstanceDeadline": "2099-03-17 15:15:03", "Period": 1}], '
        '"DiskIds": ["disk-jwk0zvrg"]}',
        RENEWAL_PRICE,
        free=OF_ANOTHER_DISK,
    ),
    "ModifyDiskBackupQuota": Example("ModifyDiskBackupQuota", '{"DiskId": "disk-xxxxxxx", "DiskBackupQuota": 1}'),
    # The page has two inputs in one.
    "ModifyDiskExtraPerformance 1": Example(
        "ModifyDiskExtraPerformance", '{"ThroughputPerformance": 1, "DiskId": "disk-xx"}'
    ),
    "ModifyDiskExtraPerformance 2": Example(
        "ModifyDiskExtraPerformance", '{"ThroughputPerformance": "300", "DiskId": "disk-dritwhhm"}'
    ),
    "ModifyDisksChargeType": Example(
        "ModifyDisksChargeType", '{"DiskIds": ["disk-jwk0zvrg"], "DiskChargePrepaid": {"Period": 1}}'
    ),
    "ModifyDisksRenewFlag": Example(
        "ModifyDisksRenewFlag", "DiskIds.0=disk-5w50lrms&RenewFlag=NOTIFY_AND_AUTO_RENEW"
    ),
    "RenewDisk 1": Example(
        "RenewDisk",
        '{"DiskChargePrepaid": {"RenewFlag": "NOTIFY_AND_AUTO_RENEW", "Period": 1}, "DiskId": "disk-jwk0zvrg"}',
    ),
    # As above: 2018 there.
    "RenewDisk 2": Example(
        "RenewDisk",
        '{"DiskChargePrepaid": {"RenewFlag": "NOTIFY_AND_AUTO_RENEW", "CurInstanceDeadline": '
        '"2099-03-30 20:15:03", "Period": 1}, "DiskId": "disk-jwk0zvrg"}',
    ),
}

# The disk that an example speaks of: its id there, and how it is made.
DISKS = {
    "InquiryPriceResizeDisk": ("disk-dw0bbzws", {"DiskType": "CLOUD_SSD", "DiskSize": 100}),
    "InquirePriceModifyDiskBackupQuota": ("disk-xxxxxxxx", {"DiskSize": 100}),
    "InquirePriceModifyDiskExtraPerformance": ("disk-dritwhhm", FAST | PREPAID_MONTH),
    "InquiryPriceRenewDisks 1": ("disk-jwk0zvrg", FAST | PREPAID_MONTH),
    "InquiryPriceRenewDisks 2": ("disk-jwk0zvrg", FAST | PREPAID_MONTH),
    "ModifyDiskBackupQuota": ("disk-xxxxxxx", {}),
    "ModifyDiskExtraPerformance 1": ("disk-xx", {"DiskType": "CLOUD_TSSD", "DiskSize": 500}),
    "ModifyDiskExtraPerformance 2": ("disk-dritwhhm", {"DiskType": "CLOUD_TSSD", "DiskSize": 500}),
    "ModifyDisksChargeType": ("disk-jwk0zvrg", {}),
    "ModifyDisksRenewFlag": ("disk-5w50lrms", PREPAID_MONTH),
    "RenewDisk 1": ("disk-jwk0zvrg", PREPAID_MONTH),
    "RenewDisk 2": ("disk-jwk0zvrg", PREPAID_MONTH),
}


def check_effect(cloud, name, disk):
    """What the example says that the call does."""
    found = cloud.disk(disk)
    if name == "ModifyDiskBackupQuota":
        assert found["DiskBackupQuota"] == 1
    elif name.startswith("ModifyDiskExtraPerformance"):
        assert found["ThroughputPerformance"] == (1 if name.endswith("1") else 300)
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


def check_parts(price):
    """The parts of a price sum up to it."""
    for field in ("OriginalPrice", "DiscountPrice", "UnitPrice", "UnitPriceDiscount"):
        if price[field] is not None:
            assert round(sum(part[field] for part in price["DetailPrices"]), 2) == price[field]
    names = [part["PriceName"] for part in price["DetailPrices"]]
    assert names == ["DiskSpace", "DiskExtraPerformance", "DiskBackupQuota"]


@pytest.mark.parametrize("written", ENCODINGS)
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_about_money_is_answered_as_documented(server, name, written):
    example, tenant, ids = EXAMPLES[name], Tenant(server), {}
    if name in DISKS:
        documented_id, parameters = DISKS[name]
        ids = {documented_id: tenant.disk(parameters.get("DiskSize", 10), **parameters)}
    answer = send(tenant.raw, example, ids, written)
    check_answer(example, ids, answer)
    if "DetailPrices" in answer.get("DiskPrice", {}):
        check_parts(answer["DiskPrice"])
    if name == "InquiryPriceRenewDisks 1":
        assert answer["DiskPrice"]["OriginalPrice"] == 450.0, "of 500 GB of this type for a month"
    if ids:
        check_effect(tenant.cloud, name, *ids.values())
