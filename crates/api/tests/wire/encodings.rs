//! One request means the same in every encoding, and no bytes make the gateway panic.

use ashlar_api::{Action, ErrorCode, Member, RawRequest, Shape};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::support::{Bench, Tc3, V1, encode_pairs, flatten};

/// A request with every parameter of its action, with values drawn from what the description allows.
fn whole_request(action: Action) -> impl Strategy<Value = Value> {
    let product = action.spec().product;
    object(action.schema().input.members).prop_map(move |request| match product {
        "lighthouse" => in_lighthouse(request),
        _ => request,
    })
}

/// Ids of Lighthouse have prefixes of their own.
fn in_lighthouse(mut request: Value) -> Value {
    let renamed = |id: &Value| json!(format!("lh{}", id.as_str().unwrap()));
    for name in ["InstanceId", "SnapshotId", "SnapshotIds"] {
        match request.get_mut(name) {
            Some(Value::Array(ids)) => ids.iter_mut().for_each(|id| *id = renamed(id)),
            Some(id) => *id = renamed(id),
            None => {}
        }
    }
    request
}

fn object(members: &'static [Member]) -> BoxedStrategy<Value> {
    let mut all = Just(Map::new()).boxed();
    for member in members {
        let value = match member.required {
            true => value(member).prop_map(Some).boxed(),
            false => proptest::option::of(value(member)).boxed(),
        };
        all = (all, value)
            .prop_map(|(mut all, value)| {
                all.extend(value.map(|value| (member.name.to_owned(), value)));
                all
            })
            .boxed();
    }
    all.prop_map(Value::Object).boxed()
}

fn value(member: &'static Member) -> BoxedStrategy<Value> {
    match member.name {
        "DiskId" | "DiskIds" => scalar_or_list(member, "disk-[0-9a-z]{8}"),
        "SnapshotId" | "SnapshotIds" => scalar_or_list(member, "snap-[0-9a-z]{8}"),
        "DiskBackupId" | "DiskBackupIds" => scalar_or_list(member, "dbp-[0-9a-z]{8}"),
        "SnapshotGroupId" | "SnapshotGroupIds" => scalar_or_list(member, "csnap-[0-9a-z]{8}"),
        "DestinationRegions" => scalar_or_list(member, "ap-[a-z]{3,9}"),
        "ImageId" | "ImageIds" => scalar_or_list(member, "img-[0-9a-z]{8}"),
        "DataDiskIds" => scalar_or_list(member, "disk-[0-9a-z]{8}"),
        "AutoSnapshotPolicyId" | "AutoSnapshotPolicyIds" => scalar_or_list(member, "asp-[0-9a-z]{8}"),
        "InstanceId" | "InstanceIds" => scalar_or_list(member, "ins-[0-9a-z]{8}"),
        "Zone" | "Zones" => scalar_or_list(member, "ap-[a-z]{3,9}-[1-9]"),
        "Encrypt" => Just(json!("ENCRYPT")).boxed(),
        "Deadline" => Just(json!("2030-01-08T09:47:55+08:00")).boxed(),
        "CurInstanceDeadline" | "NewDeadline" | "BeginTime" | "EndTime" => {
            Just(json!("2030-01-08 09:47:55")).boxed()
        }
        "DeleteSnapshot" => (0_u64..2).prop_map(Value::from).boxed(),
        _ => of_shape(member, &member.shape),
    }
}

fn scalar_or_list(member: &'static Member, pattern: &'static str) -> BoxedStrategy<Value> {
    match member.shape {
        Shape::List(_) => vec(pattern, 1..5).prop_map(Value::from).boxed(),
        _ => pattern.prop_map(Value::from).boxed(),
    }
}

fn of_shape(member: &'static Member, shape: &'static Shape) -> BoxedStrategy<Value> {
    let (least, most) = member.rules.length_bytes.unwrap_or((0, 20));
    match shape {
        Shape::Text(_) if member.rules.ascii_only => vec(32_u8..127, least..=most)
            .prop_map(|bytes| Value::from(String::from_utf8_lossy(&bytes).into_owned()))
            .boxed(),
        // Up to four bytes a character.
        Shape::Text(_) => vec(any::<char>(), least..=most / 4)
            .prop_map(|text| text.iter().collect::<String>().into())
            .boxed(),
        Shape::Choice(choices) => proptest::sample::select(choices()).prop_map(Value::from).boxed(),
        Shape::Integer { .. } => match (member.rules.one_of, member.rules.range) {
            (Some(values), _) => proptest::sample::select(values.to_vec()).prop_map(Value::from).boxed(),
            (None, Some((min, max))) => (min..=max).prop_map(Value::from).boxed(),
            (None, None) => any::<u64>().prop_map(Value::from).boxed(),
        },
        Shape::Boolean => any::<bool>().prop_map(Value::from).boxed(),
        Shape::Float => any::<f64>().prop_map(Value::from).boxed(),
        Shape::List(element) => vec(of_shape(member, element), 1..4).prop_map(Value::from).boxed(),
        Shape::Object(inner) => object(inner.members),
    }
}

fn any_action() -> impl Strategy<Value = Action> {
    proptest::sample::select(Action::all().collect::<Vec<_>>())
}

fn action_and_request() -> impl Strategy<Value = (Action, Value)> {
    any_action().prop_flat_map(|action| (Just(action), whole_request(action)))
}

/// All scalars as text, as some clients send them.
fn as_text(value: &Value) -> Value {
    match value {
        Value::Number(number) => number.to_string().into(),
        Value::Bool(boolean) => boolean.to_string().to_uppercase().into(),
        Value::Array(elements) => elements.iter().map(as_text).collect(),
        Value::Object(members) => {
            members.iter().map(|(name, value)| (name.clone(), as_text(value))).collect()
        }
        other => other.clone(),
    }
}

fn multipart_of_pairs(pairs: &[(String, String)]) -> Vec<u8> {
    let part = |(name, value): &(String, String)| {
        format!("--x1y2\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let parts: String = pairs.iter().map(part).collect();
    if parts.is_empty() { Vec::new() } else { format!("{parts}--x1y2--\r\n").into_bytes() }
}

/// As the Python library writes it: lists and objects as JSON.
fn multipart_of_json(members: &Map<String, Value>) -> Vec<u8> {
    let part = |(name, value): (&String, &Value)| match value {
        Value::Array(_) | Value::Object(_) => format!(
            "--x1y2\r\nContent-Disposition: form-data; name=\"{name}\"\r\nContent-Type: application/json\r\n\r\n{value}\r\n"
        ),
        Value::String(text) => {
            format!("--x1y2\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n")
        }
        other => format!("--x1y2\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{other}\r\n"),
    };
    let parts: String = members.iter().map(part).collect();
    if parts.is_empty() { Vec::new() } else { format!("{parts}--x1y2--\r\n").into_bytes() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_request_is_the_same_in_every_encoding((action, request) in action_and_request()) {
        let bench = Bench::new();
        let name = action.spec().name;
        let pairs = flatten(&request);
        let own: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let expected = bench.decoded(Tc3::json(name, request.to_string()).to(action).sign());
        let multipart = "multipart/form-data; boundary=x1y2";
        let form = "application/x-www-form-urlencoded";
        let members = request.as_object().unwrap();
        for (encoding, other) in [
            ("text", Tc3::json(name, as_text(&request).to_string()).to(action).sign()),
            ("octets", Tc3::post(name, "application/octet-stream", request.to_string()).to(action).sign()),
            ("query", Tc3::get(name, &encode_pairs(&pairs)).to(action).sign()),
            ("form", Tc3::post(name, form, encode_pairs(&pairs)).to(action).sign()),
            ("multipart", Tc3::post(name, multipart, multipart_of_pairs(&pairs)).to(action).sign()),
            ("multipart with JSON", Tc3::post(name, multipart, multipart_of_json(members)).to(action).sign()),
            ("v1 GET", V1::new("GET", name, &own).to(action).sign()),
            ("v1 POST", V1::new("POST", name, &own).to(action).sign()),
        ] {
            prop_assert_eq!(&bench.decoded(other), &expected, "{}", encoding);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(
        action in any_action(),
        kind in 0..6_usize,
        body in vec(any::<u8>(), 0..200),
        text in "[\\{\\}\\[\\]\":,.&=%+0-9a-zA-Z\\-\r\n ]{0,200}",
    ) {
        let bench = Bench::new();
        let name = action.spec().name;
        let request = match kind {
            0 => Tc3::json(name, body),
            1 => Tc3::json(name, text),
            2 => Tc3::get(name, &text),
            3 => Tc3::post(name, "application/x-www-form-urlencoded", body),
            4 => Tc3::post(name, "multipart/form-data; boundary=b", [&b"--b\r\n"[..], &body].concat()),
            _ => Tc3::post(name, &text, body),
        };
        prop_assert!(is_documented(&bench.outcome(request.to(action).sign()).0));
    }

    #[test]
    fn no_head_makes_it_panic(
        method in "GET|POST|[A-Z]{0,6}",
        target in "/?\\?[A-Za-z0-9.=&%]{0,80}",
        names in vec("Authorization|Host|Content-Type|X-TC-[A-Z][a-z]{2,8}|[a-z-]{1,9}", 0..6),
        values in vec(vec(any::<u8>(), 0..40), 6),
        credential in "TC3-HMAC-SHA256 [A-Za-z=/,;0-9 ]{0,80}",
        body in vec(any::<u8>(), 0..60),
    ) {
        let bench = Bench::new();
        let mut headers: Vec<(String, Vec<u8>)> = names.into_iter().zip(values).collect();
        let request = RawRequest { method, target, headers: headers.clone(), body, peer: String::new(), address: None };
        prop_assert!(is_documented(&bench.outcome(request.clone()).0));
        headers.push(("Authorization".to_owned(), credential.into_bytes()));
        let signed = RawRequest { headers, ..request };
        prop_assert!(is_documented(&bench.outcome(signed).0));
        prop_assert!(bench.take_calls().is_empty());
    }

    /// Any member taken away, doubled, renamed or given another type: the request is refused or still means
    /// something, and never becomes another action's error.
    #[test]
    fn a_damaged_request_gets_a_documented_error((action, request) in action_and_request(), pick in any::<prop::sample::Index>(), damage in 0..5_usize) {
        let bench = Bench::new();
        let name = action.spec().name;
        let mut pairs = flatten(&request);
        prop_assume!(!pairs.is_empty());
        let index = pick.index(pairs.len());
        match damage {
            0 => { pairs.remove(index); }
            1 => { let copy = pairs[index].clone(); pairs.push(copy); }
            2 => pairs[index].0.push('x'),
            3 => pairs[index].1 = "\u{0}?".to_owned(),
            _ => pairs[index].0.push_str(".0"),
        }
        let (code, message) = bench.outcome(Tc3::get(name, &encode_pairs(&pairs)).to(action).sign());
        prop_assert!(is_documented(&code), "{code}");
        let refused = ["InvalidParameter", "InvalidParameterValue", "MissingParameter", "UnknownParameter"];
        // Ids of Lighthouse have codes of their own in these families.
        let is_refused = refused.contains(&code.split('.').next().unwrap());
        match damage {
            0 | 3 => prop_assert!(code == "ok" || is_refused, "{code}: {message}"),
            _ => prop_assert!(is_refused, "{code}: {message}"),
        }
    }
}

fn is_documented(code: &str) -> bool {
    code == "ok" || ErrorCode::ALL.iter().any(|known| known.as_str() == code)
}
