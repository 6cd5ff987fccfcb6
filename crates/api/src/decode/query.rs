//! Query strings and form bodies: `name=value` pairs, percent-encoded, `+` for a space.

use super::{VALUE_COUNT_MAX, ValueBudget, malformed};
use crate::error::ApiError;

/// Splits and decodes a query string, keeping the order.
///
/// # Errors
/// `InvalidParameter` for broken percent-encoding, text that is not UTF-8, and too many pairs.
pub(crate) fn pairs_from_query(query: &str) -> Result<Vec<(String, String)>, ApiError> {
    let budget = ValueBudget::new();
    let mut pairs = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        if !budget.take() {
            return Err(malformed(format!("The request has more than {VALUE_COUNT_MAX} parameters.")));
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        pairs.push((decode(name)?, decode(value)?));
    }
    Ok(pairs)
}

fn decode(text: &str) -> Result<String, ApiError> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => match (bytes.next().and_then(hex_digit), bytes.next().and_then(hex_digit)) {
                (Some(high), Some(low)) => high << 4 | low,
                _ => {
                    return Err(malformed(
                        "A `%` in the parameters is not followed by two hexadecimal digits.",
                    ));
                }
            },
            other => other,
        });
    }
    String::from_utf8(decoded).map_err(|_| malformed("The parameters are not UTF-8."))
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}
