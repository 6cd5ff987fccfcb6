//! Each parameter of each action, from the description alone: left out, of another type, at and beyond each edge,
//! and one that does not exist; as JSON and in the flat encodings.

use std::sync::atomic::{AtomicU64, Ordering};

use ashlar_api::{Action, Member, ObjectSchema, Shape, sample};
use serde_json::{Map, Value, json};

use crate::support::{Bench, Tc3, V1, encode_pairs, flatten};

/// No two requests of the older signature are the same.
static NONCE: AtomicU64 = AtomicU64::new(1);

/// One parameter of a request, inner ones too.
struct Place {
    /// The names on the way to it; the last is its own.
    names: Vec<&'static str>,
    /// The objects on the way, outermost first, and whether each stands in a list.
    outer: Vec<(&'static ObjectSchema, bool)>,
    member: &'static Member,
}

impl Place {
    /// As messages write it.
    fn path(&self) -> String {
        let mut path = String::new();
        for (index, name) in self.names.iter().enumerate() {
            if index > 0 {
                path.push_str(if self.outer[index - 1].1 { ".0." } else { "." });
            }
            path.push_str(name);
        }
        path
    }

    /// The request with this parameter set, or taken away; what is around it is made if need be.
    fn set(&self, request: &Value, value: Option<Value>) -> Value {
        let mut request = request.clone();
        let mut object = request.as_object_mut().unwrap();
        for (name, (schema, in_list)) in self.names.iter().zip(&self.outer) {
            let made = || match in_list {
                true => json!([sample::object(schema)]),
                false => sample::object(schema),
            };
            let inner = object.entry(*name).or_insert_with(made);
            object = if *in_list { inner[0].as_object_mut() } else { inner.as_object_mut() }.unwrap();
        }
        let own = self.names.last().unwrap();
        match value {
            Some(value) => object.insert((*own).to_owned(), value),
            None => object.remove(*own),
        };
        request
    }
}

fn places(action: Action) -> Vec<Place> {
    let mut all = Vec::new();
    walk(action.schema().input, &[], &[], &mut all);
    all
}

fn walk(
    schema: &'static ObjectSchema,
    names: &[&'static str],
    outer: &[(&'static ObjectSchema, bool)],
    all: &mut Vec<Place>,
) {
    for member in schema.members {
        let names = [names, &[member.name]].concat();
        all.push(Place { names: names.clone(), outer: outer.to_vec(), member });
        let inner = match member.shape {
            Shape::Object(inner) => Some((inner, false)),
            Shape::List(Shape::Object(inner)) => Some((*inner, true)),
            _ => None,
        };
        if let Some((inner, in_list)) = inner
            && names.len() < 5
        {
            walk(inner, &names, &[outer, &[(inner, in_list)]].concat(), all);
        }
    }
}

/// The request in each encoding that can express it.
fn outcomes(bench: &Bench, action: Action, request: &Value) -> Vec<(&'static str, String, String)> {
    let name = action.spec().name;
    let mut all = vec![("JSON", Tc3::json(name, request.to_string()).to(action).sign())];
    if is_flat(request) {
        let pairs = flatten(request);
        let own: Vec<(&str, &str)> =
            pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        all.push(("query", Tc3::get(name, &encode_pairs(&pairs)).to(action).sign()));
        let nonce = NONCE.fetch_add(1, Ordering::Relaxed).to_string();
        all.push(("v1", V1::new("POST", name, &own).with("Nonce", Some(&nonce)).to(action).sign()));
    }
    let outcome = |(encoding, request)| {
        let (code, message) = bench.outcome(request);
        (encoding, code, message)
    };
    all.into_iter().map(outcome).collect()
}

/// Whether the flat encodings can express it: they have no null and nothing empty.
fn is_flat(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(elements) => !elements.is_empty() && elements.iter().all(is_flat),
        Value::Object(members) => !members.is_empty() && members.values().all(is_flat),
        _ => true,
    }
}

/// The request is refused in every encoding, with one of these codes and a message that names the parameter.
fn refused(bench: &Bench, action: Action, request: &Value, codes: &[&str], part: &str) {
    for (encoding, code, message) in outcomes(bench, action, request) {
        let text = format!("{action:?} as {encoding}: {request}: {message}");
        assert!(codes.contains(&code.as_str()), "{code} instead of {codes:?}, {text}");
        assert!(message.contains(&format!("`{part}")), "no `{part}` in {text}");
    }
    assert_eq!(bench.take_calls(), [], "{action:?} was called: {request}");
}

fn taken(bench: &Bench, action: Action, request: &Value) {
    for (encoding, code, message) in outcomes(bench, action, request) {
        assert_eq!(code, "ok", "{action:?} as {encoding}: {request}: {message}");
    }
    bench.take_calls();
}

fn each_place(check: impl Fn(&Bench, Action, &Value, &Place)) {
    let bench = Bench::new();
    for action in Action::all() {
        let request = sample::request(action, &|kind| sample::missing_name(kind).to_owned());
        taken(&bench, action, &request);
        for place in places(action) {
            check(&bench, action, &request, &place);
        }
    }
}

const WRONG: [&str; 2] = ["InvalidParameter", "InvalidParameterValue"];

#[test]
fn what_is_required_must_be_given() {
    each_place(|bench, action, request, place| {
        if !place.member.required {
            return;
        }
        let path = place.path();
        for absent in [None, Some(Value::Null)] {
            refused(bench, action, &place.set(request, absent), &["MissingParameter"], &path);
        }
        if matches!(place.member.shape, Shape::List(_)) {
            refused(bench, action, &place.set(request, Some(json!([]))), &["MissingParameter"], &path);
        }
    });
}

#[test]
fn another_type_is_refused() {
    each_place(|bench, action, request, place| {
        let inner = json!({"a": 1});
        let wrong = match place.member.shape {
            Shape::Text(_) => vec![inner, json!(["a"])],
            Shape::Choice(_) => vec![inner, json!(["a"]), json!("no such choice")],
            Shape::Integer { .. } => vec![inner, json!([1]), json!("ten"), json!(5.5), json!("5 ")],
            Shape::Boolean => vec![inner, json!([true]), json!("yes"), json!(1)],
            Shape::Float => vec![inner, json!([1.5]), json!("much")],
            Shape::List(_) => vec![json!("text"), json!(7), json!([{"a": {"b": 1}}]), json!([[["a"]]])],
            Shape::Object(_) => vec![json!("text"), json!(7), json!(["a"])],
        };
        for value in wrong {
            let codes = [&WRONG[..], &["UnknownParameter", "MissingParameter"]].concat();
            refused(bench, action, &place.set(request, Some(value)), &codes, &place.path());
        }
    });
}

#[test]
fn values_reach_to_their_edges_and_not_beyond() {
    each_place(|bench, action, request, place| {
        let rules = &place.member.rules;
        let at = |value: Value| place.set(request, Some(value));
        if let (Some((least, most)), Shape::Integer { .. }) = (rules.range, place.member.shape) {
            taken(bench, action, &at(json!(least)));
            taken(bench, action, &at(json!(most)));
            let beyond = [least.checked_sub(1), most.checked_add(1)];
            let own = rules.range_code.map(|code| code.as_str());
            let codes = own.as_ref().map_or(&WRONG[..], std::slice::from_ref);
            for value in beyond.into_iter().flatten() {
                refused(bench, action, &at(json!(value)), codes, &place.path());
            }
        }
        if let Some(values) = rules.one_of {
            values.iter().for_each(|value| taken(bench, action, &at(json!(value))));
            let other = (0..).find(|value| !values.contains(value)).unwrap();
            refused(bench, action, &at(json!(other)), &WRONG, &place.path());
        }
        if let (Some((least, most)), Shape::Text(_)) = (rules.length_bytes, place.member.shape) {
            taken(bench, action, &at(json!("x".repeat(least))));
            taken(bench, action, &at(json!("x".repeat(most))));
            // Two bytes a character: the limit counts bytes.
            refused(bench, action, &at(json!("é".repeat(most / 2 + 1))), &WRONG, &place.path());
            if least > 0 {
                refused(bench, action, &at(json!("x".repeat(least - 1))), &WRONG, &place.path());
            }
        }
        if rules.ascii_only {
            refused(bench, action, &at(json!("é")), &WRONG, &place.path());
        }
        if let Some((most, code)) = rules.count_max {
            let one = at_least_one(request, place);
            let many = |count: usize| at(Value::Array(vec![one.clone(); count]));
            taken(bench, action, &many(most));
            refused(bench, action, &many(most + 1), &[code.as_str()], &place.path());
        }
    });
}

/// A member that the list may have.
fn at_least_one(request: &Value, place: &Place) -> Value {
    let given = place.names.iter().try_fold(request, |value, name| value.get(*name));
    let made = || match place.member.shape {
        Shape::List(Shape::Object(schema)) => sample::object(schema),
        Shape::List(Shape::Integer { .. }) => json!(1),
        _ => json!("x"),
    };
    given.and_then(|list| list.get(0)).cloned().unwrap_or_else(made)
}

#[test]
fn what_does_not_exist_is_refused_at_every_depth() {
    each_place(|bench, action, request, place| {
        let own = place.names.last().unwrap();
        let mut unknown = Map::new();
        unknown.insert(format!("{own}X"), json!("a"));
        // Beside the parameter: the object around it has one more.
        let mut beside = place.set(request, Some(valid(place)));
        let around = place.names[..place.names.len() - 1].iter().zip(&place.outer);
        let mut object = &mut beside;
        for (name, (_, in_list)) in around {
            object = &mut object[*name];
            if *in_list {
                object = &mut object[0];
            }
        }
        object.as_object_mut().unwrap().extend(unknown);
        let path = place.path();
        refused(bench, action, &beside, &["UnknownParameter"], &format!("{path}X"));
    });
}

/// Any value of the right type.
fn valid(place: &Place) -> Value {
    fn of(shape: &'static Shape) -> Value {
        match shape {
            Shape::Object(schema) => sample::object(schema),
            Shape::List(element) => json!([of(element)]),
            Shape::Choice(choices) => json!(choices()[0]),
            Shape::Integer { .. } => json!(1),
            Shape::Boolean => json!(true),
            Shape::Float => json!(1.5),
            Shape::Text(_) => json!("x"),
        }
    }
    of(&place.member.shape)
}
