//! `rate_limits` in the configuration file.

use std::collections::BTreeMap;
use std::fmt;

use ashlar_api::{Action, RateLimits};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// `"documented"`, `"off"`, or `{ requests_per_second = 20, actions = { DescribeDisks = 100 } }`.
#[derive(Debug, Default)]
pub(super) struct RateLimitSetting(pub(super) RateLimits);

/// The table with the operator's own numbers.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnNumbers {
    requests_per_second: u32,
    #[serde(default)]
    actions: BTreeMap<String, u32>,
}

impl<'de> Deserialize<'de> for RateLimitSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SettingVisitor)
    }
}

struct SettingVisitor;

impl<'de> Visitor<'de> for SettingVisitor {
    type Value = RateLimitSetting;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`documented`, `off` or a table with requests_per_second and actions")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<RateLimitSetting, E> {
        match text {
            "documented" => Ok(RateLimitSetting(RateLimits::Documented)),
            "off" => Ok(RateLimitSetting(RateLimits::Off)),
            other => {
                Err(E::custom(format!("rate_limits `{other}`: expected `documented`, `off` or a table")))
            }
        }
    }

    fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<RateLimitSetting, M::Error> {
        let numbers = OwnNumbers::deserialize(MapAccessDeserializer::new(map))?;
        let mut actions = BTreeMap::new();
        for (name, rate) in numbers.actions {
            let mut named = Action::all().filter(|action| is_named(*action, &name)).peekable();
            if named.peek().is_none() {
                return Err(M::Error::custom(format!("rate_limits.actions: there is no action `{name}`")));
            }
            actions.extend(named.map(|action| (action, rate)));
        }
        Ok(RateLimitSetting(RateLimits::Custom { requests_per_second: numbers.requests_per_second, actions }))
    }
}

/// `NAME` stands for the actions of that name in every product, `PRODUCT:NAME` for one of them.
fn is_named(action: Action, text: &str) -> bool {
    let spec = action.spec();
    match text.split_once(':') {
        Some((product, name)) => spec.product == product && spec.name == name,
        None => spec.name == text,
    }
}

#[cfg(test)]
mod tests {
    use ashlar_api::cbs::CbsAction;

    use super::*;

    #[derive(Deserialize)]
    struct Holder {
        rate_limits: RateLimitSetting,
    }

    fn parse(value: &str) -> Result<RateLimits, String> {
        toml::from_str::<Holder>(&format!("rate_limits = {value}"))
            .map(|holder| holder.rate_limits.0)
            .map_err(|error| error.message().to_owned())
    }

    #[test]
    fn words_and_numbers() {
        assert_eq!(parse("'documented'"), Ok(RateLimits::Documented));
        assert_eq!(parse("'off'"), Ok(RateLimits::Off));
        let actions = BTreeMap::from([(CbsAction::DescribeDisks.into(), 7)]);
        assert_eq!(
            parse("{ requests_per_second = 3, actions = { DescribeDisks = 7 } }"),
            Ok(RateLimits::Custom { requests_per_second: 3, actions })
        );
        let qualified = "{ requests_per_second = 3, actions = { 'cbs:DescribeDisks' = 7 } }";
        let of_name = "{ requests_per_second = 3, actions = { DescribeDisks = 7 } }";
        assert_eq!(parse(qualified), parse(of_name));
        for (value, named) in [
            ("{ requests_per_second = 1, actions = { 'sts:DescribeDisks' = 1 } }", "sts:DescribeDisks"),
            ("'none'", "none"),
            ("5", "documented"),
            ("{ actions = {} }", "requests_per_second"),
            ("{ requests_per_second = 1, actions = { Dance = 1 } }", "Dance"),
            ("{ requests_per_second = 1, burst = 1 }", "burst"),
        ] {
            let error = parse(value).expect_err(value);
            assert!(error.contains(named), "{error}");
        }
    }
}
