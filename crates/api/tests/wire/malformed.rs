//! Malformed requests: each gets a documented code and a message that names what is wrong, and none of them
//! reaches the API.

use ashlar_api::{RawRequest, SizeLimits};

use crate::support::{Bench, Tc3, V1};

/// Holds one request against the code and a part of the message that it must get.
fn expect(bench: &Bench, request: RawRequest, code: &str, part: &str) {
    let text = format!(
        "{} {}",
        request.target,
        String::from_utf8_lossy(&request.body[..request.body.len().min(200)])
    );
    let (found, message) = bench.outcome(request);
    assert_eq!(found, code, "{message} for {text}");
    assert!(message.contains(part), "no `{part}` in `{message}` for {text}");
    assert_eq!(bench.take_calls(), [], "{text}");
}

#[test]
fn parameters_that_do_not_fit() {
    let create = |change: &str| {
        format!(
            r#"{{"Placement":{{"Zone":"ap-guangzhou-3"}},"DiskChargeType":"POSTPAID_BY_HOUR","DiskType":"CLOUD_SSD",{change}}}"#
        )
    };
    let disks = |count: usize| {
        let ids: Vec<String> = (0..count).map(|number| format!("\"disk-{number:08}\"")).collect();
        format!("[{}]", ids.join(","))
    };
    let attach = |count| format!(r#"{{"InstanceId":"ins-dyzmimrw","DiskIds":{}}}"#, disks(count));
    let only_disks = |count| format!(r#"{{"DiskIds":{}}}"#, disks(count));
    let table: Vec<(&str, String, &str, &str)> = vec![
        // Names.
        ("DescribeDisks", r#"{"$schema":1}"#.into(), "UnknownParameter", "`$schema`"),
        ("DescribeDisks", r#"{"diskids":[]}"#.into(), "UnknownParameter", "`diskids`"),
        (
            "DescribeDisks",
            r#"{"Filters":[{"Name":"zone","Values":["a"],"X":1}]}"#.into(),
            "UnknownParameter",
            "`Filters.0.X`",
        ),
        ("DescribeDisks", r#"{"InstanceType":"CVM"}"#.into(), "UnknownParameter", "`InstanceType`"),
        ("CreateDisks", create(r#""Placement2":1"#), "UnknownParameter", "`Placement2`"),
        // What is missing.
        ("ResizeDisk", "{}".into(), "MissingParameter", "`DiskId`"),
        ("ResizeDisk", "".into(), "MissingParameter", "`DiskId`"),
        ("ResizeDisk", r#"{"DiskId":"disk-lzrg2pwi"}"#.into(), "MissingParameter", "`DiskSize`"),
        (
            "ResizeDisk",
            r#"{"DiskId":"disk-lzrg2pwi","DiskSize":null}"#.into(),
            "MissingParameter",
            "`DiskSize`",
        ),
        ("TerminateDisks", r#"{"DiskIds":[]}"#.into(), "MissingParameter", "`DiskIds`"),
        (
            "DescribeDisks",
            r#"{"Filters":[{"Name":"zone","Values":[]}]}"#.into(),
            "MissingParameter",
            "`Filters.0.Values`",
        ),
        ("DescribeDisks", r#"{"Filters":[{"Values":["a"]}]}"#.into(), "MissingParameter", "`Filters.0.Name`"),
        ("CreateDisks", r#"{"Placement":{}}"#.into(), "MissingParameter", "`Placement.Zone`"),
        ("CreateDisks", create(r#""Tags":[{"Key":"k"}]"#), "MissingParameter", "`Tags.0.Value`"),
        // Types.
        (
            "DescribeDisks",
            r#"{"DiskIds":"disk-lzrg2pwi"}"#.into(),
            "InvalidParameter",
            "`DiskIds` must be a list",
        ),
        ("DescribeDisks", r#"{"DiskIds":{"0":"disk-lzrg2pwi"}}"#.into(), "InvalidParameter", "`DiskIds`"),
        ("DescribeDisks", r#"{"DiskIds":[null]}"#.into(), "InvalidParameter", "`DiskIds.0`"),
        ("DescribeDisks", r#"{"DiskIds":[["disk-lzrg2pwi"]]}"#.into(), "InvalidParameter", "`DiskIds.0`"),
        ("DescribeDisks", r#"{"Filters":[1]}"#.into(), "InvalidParameter", "`Filters.0` must be an object"),
        (
            "DescribeDisks",
            r#"{"Filters":[{"Name":"zone","Values":[1.5]}]}"#.into(),
            "InvalidParameter",
            "`Filters.0.Values.0`",
        ),
        ("DescribeDisks", r#"{"Limit":"ten"}"#.into(), "InvalidParameter", "`ten`"),
        ("DescribeDisks", r#"{"Limit":""}"#.into(), "InvalidParameter", "`Limit`"),
        ("DescribeDisks", r#"{"Limit":" 5"}"#.into(), "InvalidParameter", "`Limit`"),
        ("DescribeDisks", r#"{"Limit":"+5"}"#.into(), "InvalidParameter", "`Limit`"),
        ("DescribeDisks", r#"{"Limit":"5e1"}"#.into(), "InvalidParameter", "`Limit`"),
        ("DescribeDisks", r#"{"Limit":5.5}"#.into(), "InvalidParameter", "`Limit`"),
        ("DescribeDisks", r#"{"Limit":true}"#.into(), "InvalidParameter", "`Limit`"),
        ("DescribeDisks", r#"{"Limit":[5]}"#.into(), "InvalidParameter", "`Limit`"),
        (
            "DescribeDisks",
            r#"{"ReturnBindAutoSnapshotPolicy":1}"#.into(),
            "InvalidParameter",
            "true or false",
        ),
        ("DescribeDisks", r#"{"ReturnBindAutoSnapshotPolicy":"yes"}"#.into(), "InvalidParameter", "`yes`"),
        ("CreateDisks", create(r#""DiskName":{"a":1}"#), "InvalidParameter", "`DiskName` must be a string"),
        (
            "CreateDisks",
            create(r#""DiskChargePrepaid":"1""#),
            "InvalidParameter",
            "`DiskChargePrepaid` must be an object",
        ),
        // Ids.
        ("DescribeDisks", r#"{"DiskIds":["ldisk-1234"]}"#.into(), "InvalidParameter", "`ldisk-1234`"),
        ("DescribeDisks", r#"{"DiskIds":["disk-ABCDEFGH"]}"#.into(), "InvalidParameter", "`DiskIds.0`"),
        ("ResizeDisk", r#"{"DiskId":"snap-lzrg2pwi","DiskSize":1}"#.into(), "InvalidParameter", "`DiskId`"),
        // Values.
        ("DescribeDisks", r#"{"Limit":0}"#.into(), "InvalidParameterValue", "1 to 100"),
        ("DescribeDisks", r#"{"Limit":101}"#.into(), "InvalidParameterValue", "`101`"),
        ("DescribeDisks", r#"{"Limit":-1}"#.into(), "InvalidParameterValue", "`-1`"),
        ("DescribeDisks", r#"{"Offset":"-1"}"#.into(), "InvalidParameterValue", "`Offset`"),
        ("DescribeDisks", r#"{"Offset":18446744073709551616}"#.into(), "InvalidParameterValue", "`Offset`"),
        (
            "DescribeDisks",
            r#"{"Offset":"99999999999999999999999999999999999999999"}"#.into(),
            "InvalidParameterValue",
            "`Offset`",
        ),
        ("DescribeDisks", r#"{"Order":"asc"}"#.into(), "InvalidParameterValue", "ASC, DESC"),
        (
            "DescribeDisks",
            r#"{"OrderField":"SIZE"}"#.into(),
            "InvalidParameterValue",
            "CREATE_TIME, DEADLINE",
        ),
        ("DescribeSnapshots", r#"{"OrderField":"DEADLINE"}"#.into(), "InvalidParameterValue", "CREATE_TIME"),
        ("CreateDisks", create(r#""DiskCount":0"#), "InvalidParameterValue", "`DiskCount`"),
        ("CreateDisks", create(r#""DiskSize":0"#), "InvalidParameterValue", "`DiskSize`"),
        ("CreateDisks", create(r#""DeleteSnapshot":2"#), "InvalidParameterValue", "0 or 1"),
        ("CreateDisks", create(r#""Encrypt":"YES""#), "InvalidParameterValue", "ENCRYPT"),
        ("CreateDisks", create(r#""ClientToken":"""#), "InvalidParameterValue", "`ClientToken`"),
        ("CreateDisks", create(r#""ClientToken":"ключ""#), "InvalidParameterValue", "ASCII"),
        (
            "CreateDisks",
            create(&format!(r#""ClientToken":"{}""#, "t".repeat(65))),
            "InvalidParameterValue",
            "1 to 64 bytes",
        ),
        (
            "CreateDisks",
            create(&format!(r#""DiskName":"{}""#, "n".repeat(61))),
            "InvalidParameterValue",
            "0 to 60 bytes",
        ),
        (
            "CreateDisks",
            create(r#""DiskChargePrepaid":{"Period":13}"#),
            "InvalidParameterValue",
            "`DiskChargePrepaid.Period`",
        ),
        (
            "CreateDisks",
            create(r#""DiskChargePrepaid":{"Period":1,"CurInstanceDeadline":"soon"}"#),
            "InvalidParameterValue",
            "`soon`",
        ),
        (
            "CreateDisks",
            r#"{"Placement":{"Zone":"guangzhou"}}"#.into(),
            "InvalidParameterValue",
            "`Placement.Zone`",
        ),
        (
            "CreateDisks",
            r#"{"Placement":{"Zone":"ap-guangzhou-3"},"DiskChargeType":"FREE"}"#.into(),
            "InvalidParameterValue",
            "PREPAID, POSTPAID_BY_HOUR",
        ),
        (
            "CreateSnapshot",
            r#"{"Deadline":"2022-01-08T09:47:55"}"#.into(),
            "InvalidParameterValue",
            "ISO 8601",
        ),
        (
            "CreateSnapshot",
            r#"{"DiskUsage":"data"}"#.into(),
            "InvalidParameterValue",
            "SYSTEM_DISK, DATA_DISK",
        ),
        ("AttachDisks", attach(11), "InvalidParameterValue.LimitExceeded", "at most 10"),
        ("DetachDisks", only_disks(11), "InvalidParameterValue.LimitExceeded", "`DiskIds`"),
        ("InitializeDisks", only_disks(21), "InvalidParameterValue.LimitExceeded", "at most 20"),
        ("TerminateDisks", only_disks(51), "InvalidParameterValue.LimitExceeded", "at most 50"),
    ];
    let bench = Bench::new();
    for (action, body, code, part) in table {
        expect(&bench, Tc3::json(action, body).sign(), code, part);
    }
    // One less is fine.
    for (action, body) in [
        ("AttachDisks", attach(10)),
        ("DetachDisks", only_disks(10)),
        ("InitializeDisks", only_disks(20)),
        ("TerminateDisks", only_disks(50)),
        (
            "CreateDisks",
            create(&format!(r#""DiskName":"{}","ClientToken":"{}""#, "n".repeat(60), "t".repeat(64))),
        ),
        ("DescribeDisks", r#"{"Limit":100,"Offset":"9223372036854775807"}"#.to_owned()),
        ("DescribeDisks", r#"{"Limit":5.0}"#.to_owned()),
    ] {
        bench.decoded(Tc3::json(action, body).sign());
    }
}

#[test]
fn bodies_that_cannot_be_read() {
    let bench = Bench::new();
    let nested = |depth: usize| format!(r#"{{"Filters":{}1{}}}"#, "[".repeat(depth), "]".repeat(depth));
    let many = |count: usize| format!(r#"{{"DiskIds":[{}]}}"#, vec!["1"; count].join(","));
    for (body, part) in [
        (b"{".to_vec(), "line 1 column 1"),
        (b"[]".to_vec(), "the request"),
        (b"null".to_vec(), "the request"),
        (b"{} {}".to_vec(), "not acceptable JSON"),
        (b"{'a':1}".to_vec(), "not acceptable JSON"),
        (br#"{"Limit":NaN}"#.to_vec(), "not acceptable JSON"),
        (br#"{"Limit":5,"Limit":5}"#.to_vec(), "`Limit` is given twice"),
        (br#"{"Filters":[{"Name":"zone","Name":"zone","Values":["a"]}]}"#.to_vec(), "`Name` is given twice"),
        (b"{\"DiskName\":\"\xff\"}".to_vec(), "UTF-8"),
        (b"\xef\xbb\xbf{}".to_vec(), "not acceptable JSON"),
        (nested(17).into_bytes(), "nested deeper"),
        (nested(5_000_000).into_bytes(), "nested deeper"),
        (many(10_000).into_bytes(), "10000 values"),
        (format!("{{\"{}\":1}}", "x".repeat(1_000_000)).into_bytes(), "xxx..."),
    ] {
        let code = if part == "xxx..." { "UnknownParameter" } else { "InvalidParameter" };
        expect(&bench, Tc3::json("DescribeDisks", body).sign(), code, part);
    }
    for content_type in ["text/plain", "", "application/xml", "application/json; charset=gbk"] {
        let part = if content_type.contains("gbk") { "UTF-8" } else { "Content-Type" };
        expect(&bench, Tc3::post("DescribeDisks", content_type, "{}").sign(), "InvalidParameter", part);
    }
}

#[test]
fn queries_and_forms_that_cannot_be_read() {
    let bench = Bench::new();
    let many: Vec<String> = (0..10_001).map(|number| format!("A{number}=1")).collect();
    for (query, part) in [
        ("DiskIds.1=disk-lzrg2pwi".to_owned(), "0 of 1 is missing"),
        ("DiskIds.0=disk-lzrg2pwi&DiskIds.2=disk-lzrg2pwi".to_owned(), "1 of 2 is missing"),
        ("DiskIds.00=disk-lzrg2pwi".to_owned(), "without a gap"),
        ("DiskIds.0=disk-lzrg2pwi&DiskIds.x=1".to_owned(), "without a gap"),
        ("DiskIds.x=disk-lzrg2pwi".to_owned(), "must be a list"),
        ("DiskIds.-1=disk-lzrg2pwi".to_owned(), "must be a list"),
        ("DiskIds=disk-lzrg2pwi".to_owned(), "must be a list"),
        ("DiskIds.0.0=disk-lzrg2pwi".to_owned(), "`DiskIds.0`"),
        ("Limit=1&Limit=1".to_owned(), "`Limit` is given twice"),
        ("Limit=1&Limit.0=1".to_owned(), "`Limit.0` is given twice"),
        ("Limit.0=1&Limit=1".to_owned(), "`Limit` is given twice"),
        ("Limit=%4".to_owned(), "hexadecimal"),
        ("Limit=%zz".to_owned(), "hexadecimal"),
        ("Order=%ff".to_owned(), "UTF-8"),
        (format!("{}=1", vec!["a"; 17].join(".")), "nested deeper"),
        (many.join("&"), "10000 parameters"),
    ] {
        let form = "application/x-www-form-urlencoded";
        if query.len() < SizeLimits::GET_BYTES {
            expect(&bench, Tc3::get("DescribeDisks", &query).sign(), "InvalidParameter", part);
        }
        expect(&bench, Tc3::post("DescribeDisks", form, query).sign(), "InvalidParameter", part);
    }
    for (query, name) in
        [("Bogus=1", "`Bogus`"), ("=1", "``"), ("Filters.0.Bogus=1", "`Filters.0.Bogus`"), ("a..b=1", "`a`")]
    {
        expect(&bench, Tc3::get("DescribeDisks", query).sign(), "UnknownParameter", name);
    }
    let request = V1::new("POST", "DescribeDisks", &[("Limit", "1"), ("Limit", "2")]).sign();
    expect(&bench, request, "InvalidParameter", "`Limit` is given twice");
}

#[test]
fn multipart_bodies_that_cannot_be_read() {
    let bench = Bench::new();
    let part = |headers: &str, content: &str| format!("--b\r\n{headers}\r\n\r\n{content}\r\n");
    let named = |name: &str, content: &str| {
        part(&format!("Content-Disposition: form-data; name=\"{name}\""), content)
    };
    for body in [
        "garbage".to_owned(),
        "--b".to_owned(),
        "--b\r\n".to_owned(),
        "--bb--\r\n".to_owned(),
        named("Limit", "5"),
        format!("{}--b-", named("Limit", "5")),
        format!("{}--b--", part("X: y", "5")),
        format!("{}--b--", part("Content-Disposition: attachment; name=\"Limit\"", "5")),
        format!("{}--b--", part("Content-Disposition: form-data", "5")),
        format!("{}--b--", part("no colon", "5")),
        "--b\r\nContent-Disposition: form-data; name=\"Limit\"\r\n5\r\n--b--".to_owned(),
    ] {
        let request = Tc3::post("DescribeDisks", "multipart/form-data; boundary=b", body.clone()).sign();
        expect(&bench, request, "InvalidRequest", "multipart");
    }
    let whole = format!("{}--b--\r\n", named("Limit", "5"));
    for content_type in
        ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=c"]
    {
        expect(
            &bench,
            Tc3::post("DescribeDisks", content_type, whole.clone()).sign(),
            "InvalidRequest",
            "bound",
        );
    }
    let twice = format!("{}{}--b--\r\n", named("Limit", "5"), named("Limit", "5"));
    let request = Tc3::post("DescribeDisks", "multipart/form-data; boundary=b", twice).sign();
    expect(&bench, request, "InvalidParameter", "given twice");
    let json =
        part("Content-Disposition: form-data; name=\"DiskIds\"\r\nContent-Type: application/json", "[");
    let request =
        Tc3::post("DescribeDisks", "multipart/form-data; boundary=b", format!("{json}--b--\r\n")).sign();
    expect(&bench, request, "InvalidParameter", "`DiskIds`");
    bench.decoded(Tc3::post("DescribeDisks", "multipart/form-data; boundary=\"b\"", whole).sign());
    // The bound on the number of values is one for all parts together.
    let list = format!("[{}]", vec!["1"; 6_000].join(","));
    let json = |name: &str| {
        part(
            &format!("Content-Disposition: form-data; name=\"{name}\"\r\nContent-Type: application/json"),
            &list,
        )
    };
    let body = format!("{}{}--b--\r\n", json("DiskIds"), json("Filters"));
    let request = Tc3::post("DescribeDisks", "multipart/form-data; boundary=b", body).sign();
    expect(&bench, request, "InvalidParameter", "10000 values");
}

#[test]
fn requests_that_are_too_large() {
    let bench = Bench::new();
    let filter = |length: usize| format!("Filters.0.Name=zone&Filters.0.Values.0={}", "a".repeat(length));
    let room = SizeLimits::GET_BYTES - "/?".len() - filter(0).len();
    bench.decoded(Tc3::get("DescribeDisks", &filter(room)).sign());
    let request = Tc3::get("DescribeDisks", &filter(room + 1)).sign();
    expect(&bench, request, "RequestSizeLimitExceeded", "32768");
    let request = Tc3 { body: vec![b'a'; SizeLimits::GET_BYTES], ..Tc3::get("DescribeDisks", "Limit=5") };
    expect(&bench, request.sign(), "RequestSizeLimitExceeded", "32768");
    let body = |length: usize| {
        let frame = r#"{"Filters":[{"Name":"zone","Values":[""]}]}"#;
        frame.replace("\"\"", &format!("\"{}\"", "a".repeat(length - frame.len())))
    };
    bench.decoded(Tc3::json("DescribeDisks", body(SizeLimits::POST_TC3_BYTES)).sign());
    let request = Tc3::json("DescribeDisks", body(SizeLimits::POST_TC3_BYTES + 1)).sign();
    expect(&bench, request, "RequestSizeLimitExceeded", "10485760");
    let form = |length: usize| {
        let value = "a".repeat(length);
        V1::new("POST", "DescribeDisks", &[("Filters.0.Name", "zone"), ("Filters.0.Values.0", &value)]).sign()
    };
    let frame = form(0).body.len();
    // A signature's own encoding varies by a few bytes, so the border is met within them.
    assert_eq!(bench.outcome(form(SizeLimits::POST_V1_BYTES - frame - 100)).0, "ok");
    bench.take_calls();
    expect(&bench, form(SizeLimits::POST_V1_BYTES - frame + 100), "RequestSizeLimitExceeded", "1048576");
    let response = bench.gateway.refuse("peer".to_owned(), SizeLimits::exceeded(7));
    let body: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
    assert_eq!(body["Response"]["Error"]["Code"], "RequestSizeLimitExceeded");
    assert_eq!(response.summary.peer, "peer");
}
