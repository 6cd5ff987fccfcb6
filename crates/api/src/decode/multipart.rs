//! `multipart/form-data` bodies (RFC 7578): dotted names as in a form; a part of type `application/json`
//! holds a whole list or object, as one official client library sends them.

use super::{Excerpt, VALUE_COUNT_MAX, ValueBudget, malformed, tree_from_json, tree_from_pairs};
use crate::error::ApiError;
use crate::error_code::ErrorCode;
use crate::value::{Object, Value};

/// RFC 2046, section 5.1.1.
const BOUNDARY_LENGTH_MAX_BYTES: usize = 70;

/// Reads a body whose parts are separated by `boundary`. An empty body means no parameters.
///
/// # Errors
/// `InvalidRequest` where the body does not have the form of multipart; else as the other encodings.
pub(crate) fn tree_from_multipart(body: &[u8], boundary: &str) -> Result<Value, ApiError> {
    if boundary.is_empty() || boundary.len() > BOUNDARY_LENGTH_MAX_BYTES {
        return Err(broken("the boundary must have 1 to 70 characters"));
    }
    if body.is_empty() {
        return Ok(Value::Object(Object::new()));
    }
    let body = std::str::from_utf8(body).map_err(|_| malformed("The request body is not UTF-8."))?;
    let delimiter = format!("--{boundary}");
    let mut rest = body
        .strip_prefix(&delimiter)
        .or_else(|| body.split_once(&format!("\r\n{delimiter}")).map(|(_, rest)| rest))
        .ok_or_else(|| broken("the boundary does not begin the body"))?;
    let delimiter = format!("\r\n{delimiter}");
    let budget = ValueBudget::new();
    let mut parts = Vec::new();
    while !rest.starts_with("--") {
        let after = rest.trim_start_matches([' ', '\t']);
        let after =
            after.strip_prefix("\r\n").ok_or_else(|| broken("a boundary is not followed by a line end"))?;
        let (part, next) =
            after.split_once(&delimiter).ok_or_else(|| broken("the closing boundary is missing"))?;
        if !budget.take() {
            return Err(malformed(format!("The request has more than {VALUE_COUNT_MAX} parameters.")));
        }
        parts.push(read_part(part, &budget)?);
        rest = next;
    }
    tree_from_pairs(parts)
}

fn read_part(part: &str, budget: &ValueBudget) -> Result<(String, Value), ApiError> {
    // A part without headers begins with the empty line itself, and has no name.
    let (headers, content) = part.split_once("\r\n\r\n").ok_or_else(|| broken("a part has no empty line"))?;
    let mut name = None;
    let mut is_json = false;
    for line in headers.split("\r\n") {
        let (header, value) = line.split_once(':').ok_or_else(|| broken("a part's header has no colon"))?;
        match header.trim().to_ascii_lowercase().as_str() {
            "content-disposition" => name = disposition_name(value.trim()),
            "content-type" => is_json = media_type(value) == "application/json",
            _ => {}
        }
    }
    let name = name.ok_or_else(|| broken("a part has no `Content-Disposition: form-data; name=...`"))?;
    match is_json {
        false => Ok((name, Value::Text(content.to_owned()))),
        true => match tree_from_json(content.as_bytes(), budget) {
            Ok(value) => Ok((name, value)),
            Err(error) => Err(malformed(format!("The part `{}`: {}", Excerpt(&name), error.message))),
        },
    }
}

fn disposition_name(value: &str) -> Option<String> {
    let mut pieces = value.split(';').map(str::trim);
    pieces.next().filter(|kind| kind.eq_ignore_ascii_case("form-data"))?;
    let name = pieces.find_map(|piece| piece.strip_prefix("name="))?;
    let name = name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or(name);
    (!name.is_empty() && !name.contains('"')).then(|| name.to_owned())
}

/// The media type of a `Content-Type`, in lower case and without its parameters.
pub(crate) fn media_type(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase()
}

/// The parameter `name` of a `Content-Type`.
pub(crate) fn media_parameter<'a>(content_type: &'a str, name: &str) -> Option<&'a str> {
    content_type.split(';').skip(1).find_map(|parameter| {
        let (key, value) = parameter.trim().split_once('=')?;
        let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
        key.eq_ignore_ascii_case(name).then_some(value)
    })
}

fn broken(what: &str) -> ApiError {
    ApiError::new(ErrorCode::InvalidRequest, format!("The multipart body is not well formed: {what}."))
}
