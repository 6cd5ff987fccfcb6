//! The checks stand in their order: each request here is wrong in two ways, and the earlier one answers.

use std::collections::BTreeMap;

use ashlar_api::cbs::CbsAction;
use ashlar_api::{Action, RateLimits, RawRequest};

use crate::support::{Bench, NOW_SECONDS, SECRET_ID, Tc3, V1};

fn code(bench: &Bench, request: RawRequest) -> String {
    bench.outcome(request).0
}

#[test]
fn a_success_has_exactly_these_bytes() {
    let bench = Bench::new();
    let response = bench.raw(Tc3::json("CreateSnapshot", "{}").sign());
    let id = response.summary.request_id;
    let expected = format!(r#"{{"Response":{{"SnapshotId":"snap-gybrif0z","RequestId":"{id}"}}}}"#);
    assert_eq!(String::from_utf8(response.body).unwrap(), expected);
    let response = bench.raw(Tc3::json("ApplySnapshot", "{}").sign());
    let id = response.summary.request_id;
    let expected = format!(
        r#"{{"Response":{{"Error":{{"Code":"MissingParameter","Message":"The parameter `SnapshotId` is missing."}},"RequestId":"{id}"}}}}"#
    );
    assert_eq!(String::from_utf8(response.body).unwrap(), expected);
    assert_eq!(ashlar_api::RawResponse::STATUS, 200);
    assert_eq!(ashlar_api::RawResponse::CONTENT_TYPE, "application/json");
}

#[test]
fn the_earlier_check_answers() {
    let bench = Bench::with_rates(RateLimits::Custom {
        requests_per_second: 0,
        actions: BTreeMap::from([(Action::Cbs(CbsAction::DescribeDisks), 1_000)]),
    });
    let late = NOW_SECONDS - 301;
    let wrong_key = |tc3: Tc3| tc3.sign_with(SECRET_ID, "another key");
    // The method before the signature.
    let request = RawRequest { method: "PUT".to_owned(), ..wrong_key(Tc3::json("DescribeDisks", "{}")) };
    assert_eq!(code(&bench, request), "UnsupportedProtocol");
    // The size before the signature.
    let request = wrong_key(Tc3::get("DescribeDisks", &"a".repeat(40_000)));
    assert_eq!(code(&bench, request), "RequestSizeLimitExceeded");
    // The time before the key.
    let request =
        Tc3 { timestamp_seconds: late, ..Tc3::json("DescribeDisks", "{}") }.sign_with("unknown", "key");
    assert_eq!(code(&bench, request), "AuthFailure.SignatureExpire");
    // The signature before the rate.
    assert_eq!(code(&bench, wrong_key(Tc3::json("CreateDisks", "{}"))), "AuthFailure.SignatureFailure");
    // The rate before the action.
    assert_eq!(code(&bench, Tc3::json("NoSuchAction", "{}").sign()), "RequestLimitExceeded");
    assert_eq!(code(&bench, Tc3::json("CreateDisks", "{}").sign()), "RequestLimitExceeded");
    // The network before the rate.
    let request = RawRequest { address: Some([10, 0, 0, 1].into()), ..Tc3::json("CreateDisks", "{}").sign() };
    assert_eq!(code(&bench, request), "IpInBlacklist");
    let bench = Bench::new();
    // The parameters before the right, and the right before the call.
    let denied = |more: &str| {
        let body = format!(r#"{{"DiskId":"disk-denied00"{more}}}"#);
        code(&bench, Tc3::json("ResizeDisk", body).sign())
    };
    assert_eq!(denied(""), "MissingParameter");
    assert_eq!(denied(r#","DiskSize":20"#), "AuthFailure.UnauthorizedOperation");
    assert_eq!(bench.take_calls(), []);
    // The action before the region.
    let request = Tc3 { region: Some("mars"), ..Tc3::json("NoSuchAction", "{}") }.sign();
    assert_eq!(code(&bench, request), "InvalidAction");
    // The region before the parameters.
    let request = Tc3 { region: Some("ap-beijing"), ..Tc3::json("DescribeDisks", "{") }.sign();
    assert_eq!(code(&bench, request), "UnsupportedRegion");
    assert_eq!(bench.take_calls(), []);
}

#[test]
fn action_and_version() {
    let bench = Bench::new();
    let with_header = |name: &str, value: Option<&str>| {
        let mut request = Tc3::json("DescribeDisks", "{}").sign();
        request.headers.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
        request.headers.extend(value.map(|value| (name.to_owned(), value.into())));
        code(&bench, request)
    };
    assert_eq!(with_header("X-TC-Action", None), "MissingParameter");
    assert_eq!(with_header("X-TC-Action", Some("")), "MissingParameter");
    assert_eq!(with_header("X-TC-Action", Some("describeDisks")), "InvalidAction");
    assert_eq!(with_header("X-TC-Action", Some("CreateRemoteDisks")), "InvalidAction");
    assert_eq!(with_header("X-TC-Version", None), "MissingParameter");
    assert_eq!(with_header("X-TC-Version", Some("2018-03-12")), "NoSuchVersion");
    assert_eq!(with_header("X-TC-Action", Some("DescribeDisks")), "ok");
    for (name, value, expected) in [
        ("Action", None, "MissingParameter"),
        ("Action", Some("Nothing"), "InvalidAction"),
        ("Version", Some("2017-03-13"), "NoSuchVersion"),
        ("Version", None, "MissingParameter"),
    ] {
        let request = V1::new("GET", "DescribeDisks", &[]).with(name, value).sign();
        assert_eq!(code(&bench, request), expected, "{name} {value:?}");
    }
}

#[test]
fn a_request_without_a_region_goes_to_the_default() {
    let bench = Bench::new();
    for (region, expected) in
        [(None, "ap-guangzhou"), (Some(""), "ap-guangzhou"), (Some("ap-shanghai"), "ap-shanghai")]
    {
        bench.raw(Tc3 { region, ..Tc3::json("DescribeDisks", "{}") }.sign());
        assert_eq!(bench.take_calls()[0].0, expected);
        bench.raw(V1::new("GET", "DescribeDisks", &[]).with("Region", region).sign());
        assert_eq!(bench.take_calls()[0].0, expected);
    }
}

#[test]
fn the_rate_is_the_documented_one() {
    let bench = Bench::with_rates(RateLimits::Documented);
    let answers = |action: &str, tries: usize| {
        let good = (0..tries)
            .filter(|_| code(&bench, Tc3::json(action, r#"{"Bogus":1}"#).sign()) == "UnknownParameter");
        good.count()
    };
    assert_eq!(answers("CreateSnapshot", 25), 20);
    assert_eq!(answers("DescribeDisks", 125), 100);
    let request = Tc3::json("CreateSnapshot", "{}").sign();
    assert_eq!(code(&bench, request.clone()), "RequestLimitExceeded");
    bench.clock.advance_ms(1_000);
    assert_eq!(code(&bench, request), "ok");
}

#[test]
fn the_summary_is_what_the_log_needs() {
    let bench = Bench::new();
    let summary = bench.raw(Tc3::json("DescribeDisks", "{}").sign()).summary;
    assert_eq!(summary.action, Some(Action::Cbs(CbsAction::DescribeDisks)));
    assert_eq!(summary.account.map(|account| account.0), Some(100_000_000_001));
    assert_eq!((summary.code, summary.peer.as_str()), (None, "test"));
    let summary = bench.raw(Tc3::json("DescribeDisks", "{}").sign_with(SECRET_ID, "wrong")).summary;
    assert_eq!((summary.action, summary.account), (None, None));
}
