//! Signed requests as the official libraries send them, and every way in which they can be wrong.

use ashlar_api::RawRequest;
use ashlar_types::UnixMillis;

use crate::support::{Bench, NOW_SECONDS, SECRET_ID, SECRET_KEY, TEMPORARY_ID, TOKEN, Tc3, V1};

fn code(bench: &Bench, request: RawRequest) -> String {
    bench.outcome(request).0
}

fn with_header(mut request: RawRequest, name: &str, value: Option<&str>) -> RawRequest {
    request.headers.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
    request.headers.extend(value.map(|value| (name.to_owned(), value.into())));
    request
}

fn header(request: &RawRequest, name: &str) -> String {
    let (_, value) = request.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).unwrap();
    String::from_utf8(value.clone()).unwrap()
}

#[test]
fn the_worked_example_of_the_page_passes_the_gateway() {
    let bench = Bench::new();
    bench.clock.set(UnixMillis(1_465_185_768_000));
    let target = "/?Action=DescribeInstances&InstanceIds.0=ins-09dx96dg&Limit=20&Nonce=11886&Offset=0\
                  &Region=ap-guangzhou&SecretId=AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE\
                  &Signature=EliP9YW3pW28FpsEdkXt%2F%2BWcGeI%3D&Timestamp=1465185768&Version=2017-03-12";
    let request = RawRequest {
        method: "GET".to_owned(),
        target: target.to_owned(),
        headers: vec![("Host".to_owned(), b"cvm.tencentcloudapi.com".to_vec())],
        ..RawRequest::default()
    };
    assert_eq!(code(&bench, request.clone()), "ok");
    let changed = RawRequest { target: target.replace("Limit=20", "Limit=21"), ..request };
    assert_eq!(code(&bench, changed), "AuthFailure.SignatureFailure");
}

#[test]
fn every_kind_of_request_the_libraries_send_is_let_in() {
    let bench = Bench::new();
    for request in [
        Tc3::json("DescribeDisks", "{}").sign(),
        Tc3::post("DescribeDisks", "application/json; charset=utf-8", "{}").sign(),
        Tc3::post("DescribeDisks", "application/octet-stream; charset=utf-8", "{}").sign(),
        Tc3::post("DescribeDisks", "multipart/form-data; boundary=0f1e", "").sign(),
        Tc3 { unsigned_payload: true, ..Tc3::json("DescribeDisks", "{}") }.sign(),
        Tc3::get("DescribeDisks", "Order=ASC&Limit=5").sign(),
        Tc3::get("DescribeDisks", "").sign(),
        Tc3 { unsigned_payload: true, ..Tc3::get("DescribeDisks", "Limit=5") }.sign(),
        V1::new("GET", "DescribeDisks", &[]).sign(),
        V1::new("POST", "DescribeDisks", &[]).sign(),
        V1::new("GET", "DescribeDisks", &[]).with("SignatureMethod", Some("HmacSHA1")).sign(),
        V1::new("POST", "DescribeDisks", &[]).with("SignatureMethod", Some("HmacSHA256")).sign(),
        V1::new(
            "GET",
            "DescribeDisks",
            &[("Filters.0.Name", "tag:a b"), ("Filters.0.Values.0", "磁&盘=+%~*")],
        )
        .sign(),
    ] {
        bench.decoded(request);
    }
    // A path in the endpoint is sent, and not signed.
    let request = Tc3::json("DescribeDisks", "{}").sign();
    bench.decoded(RawRequest { target: "/some/path".to_owned(), ..request });
}

#[test]
fn a_signed_request_with_one_byte_changed_is_refused() {
    let bench = Bench::new();
    let post = Tc3::json("DescribeDisks", r#"{"Limit":5}"#).sign();
    let get = Tc3::get("DescribeDisks", "Limit=5").sign();
    let refused = |request: RawRequest, what: &str| {
        let (code, _) = bench.outcome(request);
        assert!(code.starts_with("AuthFailure") || code == "InvalidParameter", "{code} for {what}");
        assert_eq!(bench.take_calls(), [], "{what}");
    };
    for (request, names) in [
        (&post, ["Authorization", "Host", "Content-Type"]),
        (&get, ["Authorization", "Host", "Content-Type"]),
    ] {
        for name in names.into_iter().chain(["X-TC-Timestamp"]) {
            let value = header(request, name);
            for index in 0..value.len() {
                let mut changed = value.clone().into_bytes();
                changed[index] ^= 1;
                let Ok(changed) = String::from_utf8(changed) else { continue };
                refused(with_header(request.clone(), name, Some(&changed)), &format!("{name}: {changed}"));
            }
        }
    }
    for index in 0..post.body.len() {
        let mut request = post.clone();
        request.body[index] ^= 1;
        refused(request, "body");
    }
    refused(RawRequest { target: get.target.replace("Limit=5", "Limit=6"), ..get.clone() }, "query");
    refused(RawRequest { method: "POST".to_owned(), ..get.clone() }, "method");
    refused(RawRequest { body: b"x".to_vec(), ..get }, "body of a GET");
    refused(RawRequest { target: "/?Limit=5".to_owned(), ..post.clone() }, "query of a POST");
    refused(RawRequest { method: "GET".to_owned(), ..post }, "method");
}

#[test]
fn what_would_be_signed_and_then_ignored_is_refused() {
    let bench = Bench::new();
    let mut another_day = Tc3::json("DescribeDisks", "{}");
    another_day.scope_date = Some("2019-02-24");
    assert_eq!(code(&bench, another_day.sign()), "AuthFailure.SignatureFailure");
    let post_with_query = Tc3 { query: "Limit=5".to_owned(), ..Tc3::json("DescribeDisks", "{}") };
    assert_eq!(code(&bench, post_with_query.sign()), "InvalidParameter");
    for unsigned_payload in [false, true] {
        let get_with_body =
            Tc3 { body: b"{}".to_vec(), unsigned_payload, ..Tc3::get("DescribeDisks", "Limit=5") };
        assert_eq!(code(&bench, get_with_body.sign()), "InvalidParameter");
    }
    let get = RawRequest { body: b"Limit=5".to_vec(), ..V1::new("GET", "DescribeDisks", &[]).sign() };
    assert_eq!(code(&bench, get), "InvalidParameter");
    let post = RawRequest { target: "/?Limit=5".to_owned(), ..V1::new("POST", "DescribeDisks", &[]).sign() };
    assert_eq!(code(&bench, post), "InvalidParameter");
    assert_eq!(bench.take_calls(), []);
}

#[test]
fn a_v1_request_with_any_parameter_changed_is_refused() {
    let bench = Bench::new();
    let v1 = |method| {
        V1::new(method, "DescribeDisks", &[("Limit", "5")]).with("SignatureMethod", Some("HmacSHA256"))
    };
    for method in ["GET", "POST"] {
        let parameters = v1(method).parameters;
        let signed = v1(method).sign();
        let text = if method == "GET" {
            signed.target.clone()
        } else {
            String::from_utf8(signed.body.clone()).unwrap()
        };
        for (name, value) in parameters {
            let changed = text.replacen(&format!("{name}={value}"), &format!("{name}={value}0"), 1);
            assert_ne!(changed, text, "{name}");
            let request = match method {
                "GET" => RawRequest { target: changed, ..signed.clone() },
                _ => RawRequest { body: changed.into_bytes(), ..signed.clone() },
            };
            let code = code(&bench, request);
            assert!(code.starts_with("AuthFailure") || code == "InvalidParameter", "{code} for {name}");
        }
        let host = with_header(signed, "Host", Some("127.0.0.2:9600"));
        assert_eq!(code(&bench, host), "AuthFailure.SignatureFailure");
    }
    assert_eq!(bench.take_calls(), []);
}

#[test]
fn each_failure_has_its_code() {
    let bench = Bench::new();
    let json = || Tc3::json("DescribeDisks", "{}");
    let good = json().sign();
    let authorization = header(&good, "Authorization");
    let table = [
        (with_header(good.clone(), "Authorization", Some("SKIP")), "AuthFailure.InvalidAuthorization"),
        (with_header(good.clone(), "Authorization", Some("Bearer x")), "AuthFailure.InvalidAuthorization"),
        (with_header(good.clone(), "Authorization", Some("")), "AuthFailure.InvalidAuthorization"),
        (with_header(good.clone(), "Authorization", None), "AuthFailure.InvalidAuthorization"),
        (with_header(good.clone(), "X-TC-Token", Some("t")), "AuthFailure.TokenFailure"),
        (with_header(good.clone(), "X-TC-Token", Some("")), "ok"),
        (with_header(good.clone(), "X-TC-Timestamp", None), "MissingParameter"),
        (with_header(good.clone(), "X-TC-Timestamp", Some("now")), "InvalidParameter"),
        (with_header(good.clone(), "X-TC-Timestamp", Some("99999999999999999999")), "InvalidParameter"),
        (
            with_header(good.clone(), "X-TC-Timestamp", Some("9223372036854775807")),
            "AuthFailure.SignatureExpire",
        ),
        (with_header(good.clone(), "Content-Type", None), "AuthFailure.SignatureFailure"),
        (with_header(good.clone(), "Host", None), "AuthFailure.SignatureFailure"),
        (json().sign_with("AKIDunknown", SECRET_KEY), "AuthFailure.SecretIdNotFound"),
        (json().sign_with("AKIDdisabled", SECRET_KEY), "AuthFailure.SecretIdNotFound"),
        (json().sign_with("not an id", SECRET_KEY), "AuthFailure.InvalidSecretId"),
        (json().sign_with("", SECRET_KEY), "AuthFailure.InvalidSecretId"),
        (json().sign_with(SECRET_ID, "wrong"), "AuthFailure.SignatureFailure"),
        (V1::new("GET", "DescribeDisks", &[]).with("Token", Some("t")).sign(), "AuthFailure.TokenFailure"),
        (V1::new("GET", "DescribeDisks", &[]).with("Token", Some("")).sign(), "ok"),
        (V1::new("GET", "DescribeDisks", &[]).with("SecretId", None).sign(), "MissingParameter"),
        (
            V1::new("GET", "DescribeDisks", &[]).with("SecretId", Some("AKIDunknown")).sign(),
            "AuthFailure.SecretIdNotFound",
        ),
        (V1::new("GET", "DescribeDisks", &[]).with("Timestamp", None).sign(), "MissingParameter"),
        (V1::new("GET", "DescribeDisks", &[]).with("Timestamp", Some("1.5")).sign(), "InvalidParameter"),
        (V1::new("GET", "DescribeDisks", &[]).with("Nonce", None).sign(), "MissingParameter"),
        (V1::new("GET", "DescribeDisks", &[]).with("Nonce", Some("-1")).sign(), "InvalidParameter"),
        (V1::new("GET", "DescribeDisks", &[("Region", "ap-shanghai")]).sign(), "InvalidParameter"),
        (V1::new("GET", "DescribeDisks", &[]).send(), "MissingParameter"),
        (
            V1::new("GET", "DescribeDisks", &[]).with("Signature", Some("x")).send(),
            "AuthFailure.SignatureFailure",
        ),
        (
            RawRequest { method: "GET".to_owned(), target: "/".to_owned(), ..RawRequest::default() },
            "MissingParameter",
        ),
        (
            RawRequest { method: "POST".to_owned(), ..RawRequest::default() },
            "AuthFailure.InvalidAuthorization",
        ),
        (RawRequest::default(), "UnsupportedProtocol"),
    ];
    for (request, expected) in table {
        let text = format!("{} {:?}", request.target, request.headers);
        assert_eq!(code(&bench, request), expected, "{text}");
    }
    let mut twice = good.clone();
    twice.headers.push(("authorization".to_owned(), authorization.clone().into()));
    assert_eq!(code(&bench, twice), "InvalidParameter");
    let other_day = authorization.replace("2019-02-25", "2019-02-24");
    assert_eq!(
        code(&bench, with_header(good, "Authorization", Some(&other_day))),
        "AuthFailure.SignatureFailure"
    );
}

#[test]
fn a_signature_is_good_for_five_minutes_both_ways() {
    let bench = Bench::new();
    for (offset_seconds, expected) in [
        (-301, "AuthFailure.SignatureExpire"),
        (-300, "ok"),
        (0, "ok"),
        (300, "ok"),
        (301, "AuthFailure.SignatureExpire"),
    ] {
        let timestamp_seconds = NOW_SECONDS + offset_seconds;
        let request = Tc3 { timestamp_seconds, ..Tc3::json("DescribeDisks", "{}") }.sign();
        assert_eq!(code(&bench, request), expected, "{offset_seconds}");
        let timestamp = timestamp_seconds.to_string();
        let request = V1::new("GET", "DescribeDisks", &[]).with("Timestamp", Some(&timestamp)).sign();
        assert_eq!(code(&bench, request), expected, "{offset_seconds}");
    }
}

#[test]
fn a_v1_request_works_once() {
    let bench = Bench::new();
    let request = V1::new("GET", "DescribeDisks", &[]).sign();
    assert_eq!(code(&bench, request.clone()), "ok");
    assert_eq!(code(&bench, request.clone()), "AuthFailure.SignatureFailure");
    let mut with_newline = request;
    with_newline.target = with_newline.target.replace("%3D&", "%3D%0A&");
    with_newline.target.push_str("%0A");
    assert_eq!(
        code(&bench, with_newline),
        "AuthFailure.SignatureFailure",
        "the same signature, written otherwise"
    );
    let other_nonce = V1::new("GET", "DescribeDisks", &[]).with("Nonce", Some("7")).sign();
    assert_eq!(code(&bench, other_nonce), "ok");
    // TC3 requests carry no nonce; the library's own retries repeat them byte for byte.
    let request = Tc3::json("DescribeDisks", "{}").sign();
    assert_eq!((code(&bench, request.clone()), code(&bench, request)), ("ok".to_owned(), "ok".to_owned()));
}

#[test]
fn a_temporary_key_works_with_its_token_until_it_ends() {
    let bench = Bench::new();
    let tc3 = || Tc3::json("DescribeDisks", "{}").sign_with(TEMPORARY_ID, SECRET_KEY);
    let v1 = |token: Option<&str>, nonce: &str| {
        let request = V1::new("GET", "DescribeDisks", &[]).with("SecretId", Some(TEMPORARY_ID));
        request.with("Nonce", Some(nonce)).with("Token", token).sign()
    };
    assert_eq!(code(&bench, with_header(tc3(), "X-TC-Token", Some(TOKEN))), "ok");
    assert_eq!(code(&bench, v1(Some(TOKEN), "1")), "ok");
    for token in [None, Some(""), Some("token"), Some("TOKEN0123456789")] {
        assert_eq!(code(&bench, with_header(tc3(), "X-TC-Token", token)), "AuthFailure.TokenFailure");
        assert_eq!(code(&bench, v1(token, "2")), "AuthFailure.TokenFailure");
    }
    // Who has not the key learns nothing about its token.
    let forged = Tc3::json("DescribeDisks", "{}").sign_with(TEMPORARY_ID, "another key");
    assert_eq!(code(&bench, forged), "AuthFailure.SignatureFailure");
    bench.take_calls();
    bench.clock.advance_ms(60_000);
    let (code, message) = bench.outcome(with_header(tc3(), "X-TC-Token", Some(TOKEN)));
    assert_eq!(code, "AuthFailure.TokenFailure");
    assert!(message.contains("expired"), "{message}");
    assert_eq!(bench.take_calls(), []);
}
