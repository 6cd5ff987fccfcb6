//! Scalars: what parses without loss is accepted in every encoding, because the documents' own examples
//! send `"DiskSize": "200"` and the flat encodings know nothing but text.

use ashlar_types::{
    DiskBackupId, DiskBackupState, DiskChargeType, DiskId, DiskState, DiskType, DiskUsage, ImageId,
    InstanceId, LighthouseDiskId, LighthouseInstanceId, LighthouseSnapshotId, ProjectId, Region, RenewFlag,
    SnapshotGroupId, SnapshotGroupState, SnapshotId, SnapshotPolicyId, SnapshotPolicyState, SnapshotState,
    SnapshotType, Zone,
};

use super::{Decode, Location, bad_value, wrong_type};
use crate::encode::{Encode, write_quoted};
use crate::error::ApiError;
use crate::error_code::ErrorCode;
use crate::schema::{Rules, Shape, TextFormat};
use crate::value::Value;

/// Integers beyond this are not exact in a JSON number with a fraction.
const FLOAT_EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// Text as it was meant: booleans and integers have one spelling, so nothing is lost.
pub(crate) fn text(value: Value, at: &Location<'_>) -> Result<String, ApiError> {
    match value {
        Value::Text(text) => Ok(text),
        Value::Boolean(boolean) => Ok(boolean.to_string()),
        Value::Integer(integer) => Ok(integer.to_string()),
        other => Err(wrong_type(at, "a string", &other)),
    }
}

fn integer(value: &Value, at: &Location<'_>) -> Result<i128, ApiError> {
    let parsed = match value {
        Value::Integer(integer) => Some(*integer),
        Value::Float(float) if float.fract() == 0.0 && float.abs() < FLOAT_EXACT_MAX => Some(*float as i128),
        Value::Float(float) if float.abs() >= FLOAT_EXACT_MAX => {
            return Err(bad_value(at, float, "an integer of 64 bits"));
        }
        Value::Text(text) if is_decimal(text) => {
            Some(text.parse().map_err(|_| bad_value(at, text, "an integer of 64 bits"))?)
        }
        _ => None,
    };
    parsed.ok_or_else(|| wrong_type(at, "an integer", value))
}

fn is_decimal(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// A boolean in any of the spellings that clients use: `true`, `TRUE`, `True`.
pub(crate) fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Boolean(boolean) => Some(*boolean),
        Value::Text(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Value::Text(text) if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

fn within_rules(integer: i128, at: &Location<'_>, rules: &Rules) -> Result<(), ApiError> {
    match (rules.range, rules.one_of) {
        (Some((min, max)), _) if !(i128::from(min)..=i128::from(max)).contains(&integer) => {
            let refused = bad_value(at, integer, format_args!("{min} to {max}"));
            Err(ApiError { code: rules.range_code.unwrap_or(refused.code), ..refused })
        }
        (_, Some(values)) if !values.iter().any(|value| i128::from(*value) == integer) => {
            Err(bad_value(at, integer, format_args!("one of {values:?}")))
        }
        _ => Ok(()),
    }
}

impl Decode for String {
    const SHAPE: Shape = Shape::Text(TextFormat::Plain);

    fn decode(value: Value, at: &Location<'_>, rules: &Rules) -> Result<Self, ApiError> {
        let text = text(value, at)?;
        if let Some((min, max)) = rules.length_bytes
            && !(min..=max).contains(&text.len())
        {
            return Err(bad_value(at, text, format_args!("{min} to {max} bytes")));
        }
        if rules.ascii_only && !text.is_ascii() {
            return Err(bad_value(at, text, "ASCII characters only"));
        }
        Ok(text)
    }
}

impl Decode for bool {
    const SHAPE: Shape = Shape::Boolean;

    fn decode(value: Value, at: &Location<'_>, _: &Rules) -> Result<Self, ApiError> {
        boolean(&value).ok_or_else(|| wrong_type(at, "true or false", &value))
    }
}

impl Decode for u64 {
    const SHAPE: Shape = Shape::Integer { signed: false };

    fn decode(value: Value, at: &Location<'_>, rules: &Rules) -> Result<Self, ApiError> {
        let integer = integer(&value, at)?;
        within_rules(integer, at, rules)?;
        integer.try_into().map_err(|_| bad_value(at, integer, format_args!("0 to {}", u64::MAX)))
    }
}

impl Decode for ProjectId {
    const SHAPE: Shape = Shape::Integer { signed: false };

    fn decode(value: Value, at: &Location<'_>, rules: &Rules) -> Result<Self, ApiError> {
        u64::decode(value, at, rules).map(Self)
    }
}

impl Encode for ProjectId {
    const SHAPE: Shape = Shape::Integer { signed: false };

    fn encode(&self, out: &mut String) {
        self.0.encode(out);
    }
}

/// A boolean that the documents write as the integer 0 or 1. Clients send both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IntegerFlag(pub bool);

impl Decode for IntegerFlag {
    const SHAPE: Shape = Shape::Integer { signed: true };

    fn decode(value: Value, at: &Location<'_>, _: &Rules) -> Result<Self, ApiError> {
        if let Some(flag) = boolean(&value) {
            return Ok(Self(flag));
        }
        match integer(&value, at)? {
            0 => Ok(Self(false)),
            1 => Ok(Self(true)),
            other => Err(bad_value(at, other, "0 or 1")),
        }
    }
}

impl Encode for IntegerFlag {
    const SHAPE: Shape = Shape::Integer { signed: true };

    fn encode(&self, out: &mut String) {
        out.push(if self.0 { '1' } else { '0' });
    }
}

/// Ids and zones: text that is parsed into its type, and written as it is displayed.
macro_rules! parsed_text {
    ($($name:ident => $code:ident,)+) => { $(
        impl Decode for $name {
            const SHAPE: Shape = Shape::Text(TextFormat::Plain);

            fn decode(value: Value, at: &Location<'_>, _: &Rules) -> Result<Self, ApiError> {
                let text = text(value, at)?;
                text.parse().map_err(|error: ashlar_types::IdError| ApiError {
                    code: ErrorCode::$code,
                    ..bad_value(at, &text, error.form)
                })
            }
        }

        impl Encode for $name {
            const SHAPE: Shape = Shape::Text(TextFormat::Plain);

            fn encode(&self, out: &mut String) {
                write_quoted(out, self);
            }
        }
    )+ };
}

// A text that cannot be an id is `InvalidParameter`, as the service was seen to answer.
parsed_text! {
    DiskId => InvalidParameter,
    SnapshotId => InvalidParameter,
    DiskBackupId => InvalidParameter,
    SnapshotGroupId => InvalidParameter,
    InstanceId => InvalidParameter,
    ImageId => InvalidParameter,
    LighthouseDiskId => InvalidParameterValueInvalidDiskIdMalformed,
    LighthouseInstanceId => InvalidParameterValueInstanceIdMalformed,
    LighthouseSnapshotId => InvalidParameterValueSnapshotIdMalformed,
    SnapshotPolicyId => InvalidParameter,
    Zone => InvalidParameterValue,
    Region => InvalidParameterValue,
}

/// Gives an enumeration its place in requests and answers. It must have `ALL`, `as_str` and `FromStr`.
macro_rules! choice {
    ($($name:ident,)+) => { $(
        impl $crate::decode::Decode for $name {
            const SHAPE: $crate::schema::Shape =
                $crate::schema::Shape::Choice(|| $name::ALL.iter().map(|choice| choice.as_str()).collect());

            fn decode(
                value: $crate::value::Value,
                at: &$crate::decode::Location<'_>,
                _: &$crate::schema::Rules,
            ) -> Result<Self, $crate::error::ApiError> {
                let text = $crate::decode::choice_text(value, at)?;
                text.parse().map_err(|_| {
                    let names: Vec<&str> = $name::ALL.iter().map(|choice| choice.as_str()).collect();
                    $crate::decode::bad_value(at, &text, format_args!("one of {}", names.join(", ")))
                })
            }
        }

        impl $crate::encode::Encode for $name {
            const SHAPE: $crate::schema::Shape = <$name as $crate::decode::Decode>::SHAPE;

            fn encode(&self, out: &mut String) {
                $crate::encode::write_quoted(out, &self.as_str());
            }
        }
    )+ };
}

pub(crate) use choice;

choice! {
    DiskChargeType,
    DiskState,
    DiskType,
    DiskUsage,
    RenewFlag,
    SnapshotPolicyState,
    SnapshotState,
    SnapshotType,
    DiskBackupState,
    SnapshotGroupState,
}
