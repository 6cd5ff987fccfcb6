//! The conditions of policies: `{"ip_equal": {"qcs:ip": ["10.0.0.0/8"]}}`.

use std::net::IpAddr;

use ashlar_db::Tag;
use ashlar_types::UnixMillis;

use super::network::Network;
use super::pattern::Pattern;

/// What a condition looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    /// Where the call comes from.
    Ip,
    /// The tags of the resource, each as `KEY&VALUE`.
    ResourceTag,
    /// The tags that the request would bind, each as `KEY&VALUE`.
    RequestTag,
    /// The tags of the caller's session, each as `KEY&VALUE`.
    PrincipalTag,
    /// The time of the request.
    CurrentTime,
    /// The external id with which a role is assumed.
    ExternalId,
}

const KEYS: &[(&str, Key)] = &[
    ("qcs:ip", Key::Ip),
    ("qcs:resource_tag", Key::ResourceTag),
    ("qcs:request_tag", Key::RequestTag),
    ("qcs:principal_tag", Key::PrincipalTag),
    ("qcs:current_time", Key::CurrentTime),
    ("sts:external_id", Key::ExternalId),
];

/// How a value is compared with those of the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Ip,
    Equal,
    EqualIgnoreCase,
    Like,
    TimeEqual,
    TimeLess,
    TimeLessOrEqual,
}

/// Operator, comparison, and whether it holds where the comparison does not.
const OPERATORS: &[(&str, Comparison, bool)] = &[
    ("ip_equal", Comparison::Ip, false),
    ("ip_not_equal", Comparison::Ip, true),
    ("string_equal", Comparison::Equal, false),
    ("string_not_equal", Comparison::Equal, true),
    ("string_equal_ignore_case", Comparison::EqualIgnoreCase, false),
    ("string_not_equal_ignore_case", Comparison::EqualIgnoreCase, true),
    ("string_like", Comparison::Like, false),
    ("string_not_like", Comparison::Like, true),
    ("date_equal", Comparison::TimeEqual, false),
    ("date_not_equal", Comparison::TimeEqual, true),
    ("date_less_than", Comparison::TimeLess, false),
    ("date_greater_than_equal", Comparison::TimeLess, true),
    ("date_less_than_equal", Comparison::TimeLessOrEqual, false),
    ("date_greater_than", Comparison::TimeLessOrEqual, true),
];

/// What a value of a policy may hold in place of text: a session's tag, one after the other.
const TAG_KEY: &str = "${qcs:principal_tag_key}";
const TAG_VALUE: &str = "${qcs:principal_tag_value}";

#[derive(Debug, Clone, PartialEq, Eq)]
enum Wanted {
    Networks(Vec<Network>),
    Texts(Vec<String>),
    Patterns(Vec<Pattern>),
    Times(Vec<UnixMillis>),
}

/// One condition: an operator, a key and the values of the policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) key: Key,
    comparison: Comparison,
    is_negated: bool,
    /// `for_all_value:`: each value of the call has to meet it, not just one.
    is_for_all: bool,
    /// `_if_exist`: holds where the call has no such value.
    if_exist: bool,
    wanted: Wanted,
    /// Values that the tags of the caller's session complete.
    templates: Vec<String>,
}

/// What the conditions of a policy are held against.
#[derive(Debug, Clone, Copy)]
pub(super) struct Circumstances<'a> {
    pub(super) ip: Option<IpAddr>,
    pub(super) now: UnixMillis,
    pub(super) resource_tags: &'a [String],
    pub(super) request_tags: &'a [String],
    pub(super) principal_tags: &'a [Tag],
    pub(super) external_id: Option<&'a str>,
}

impl Condition {
    /// Reads one condition; the error says what would be right.
    pub(super) fn parse(operator: &str, key: &str, values: &[&str]) -> Result<Self, String> {
        let found = KEYS.iter().find(|(name, _)| *name == key);
        let (_, key) = *found
            .ok_or_else(|| format!("there is no condition key `{key}`: use {}", names(KEYS, |key| key.0)))?;
        let (is_for_all, plain) = match operator.split_once(':') {
            Some(("for_any_value", plain)) => (false, plain),
            Some(("for_all_value", plain)) => (true, plain),
            _ => (false, operator),
        };
        let (if_exist, plain) = match plain.strip_suffix("_if_exist") {
            Some(plain) => (true, plain),
            None => (false, plain),
        };
        let found = OPERATORS.iter().find(|(name, ..)| *name == plain);
        let (_, comparison, is_negated) = *found.ok_or_else(|| {
            format!("there is no operator `{operator}`: use {}", names(OPERATORS, |known| known.0))
        })?;
        if kind_of(key) != kind_of_comparison(comparison) {
            return Err(format!("the operator `{operator}` does not fit this key"));
        }
        if values.is_empty() {
            return Err("give at least one value".to_owned());
        }
        let (templates, plain): (Vec<&str>, Vec<&str>) =
            values.iter().partition(|value| is_tag(key) && value.contains("${"));
        check_templates(&templates)?;
        let wanted = wanted(key, comparison, &plain)?;
        let templates = templates.into_iter().map(str::to_owned).collect();
        Ok(Self { key, comparison, is_negated, is_for_all, if_exist, wanted, templates })
    }

    pub(super) fn holds(&self, seen: &Circumstances<'_>) -> bool {
        let single;
        let tags: Vec<String>;
        let values: &[String] = match self.key {
            Key::Ip => return self.of_one(seen.ip, |wanted, ip| matches!(wanted, Wanted::Networks(list) if list.iter().any(|network| network.contains(ip)))),
            Key::CurrentTime => return self.of_one(Some(seen.now), |wanted, now| self.time_holds(wanted, now)),
            Key::ResourceTag => seen.resource_tags,
            Key::RequestTag => seen.request_tags,
            Key::PrincipalTag => {
                tags = seen.principal_tags.iter().map(|tag| format!("{}&{}", tag.key, tag.value)).collect();
                &tags
            }
            Key::ExternalId => {
                single = seen.external_id.map(str::to_owned);
                single.as_slice()
            }
        };
        if values.is_empty() && self.if_exist {
            return true;
        }
        let holds = |value: &String| self.text_holds(value) || self.template_holds(value, seen);
        let meets = |value: &String| holds(value) != self.is_negated;
        match (self.is_for_all, self.is_negated) {
            // Not equal: none of the values may be one of the policy's.
            (_, true) | (true, _) => values.iter().all(meets),
            (false, false) => values.iter().any(meets),
        }
    }

    fn of_one<T>(&self, value: Option<T>, meets: impl Fn(&Wanted, T) -> bool) -> bool {
        match value {
            Some(value) => meets(&self.wanted, value) != self.is_negated,
            None => self.if_exist || self.is_negated,
        }
    }

    fn text_holds(&self, value: &str) -> bool {
        match &self.wanted {
            Wanted::Texts(texts) if self.comparison == Comparison::EqualIgnoreCase => {
                texts.iter().any(|text| text.to_lowercase() == value.to_lowercase())
            }
            Wanted::Texts(texts) => texts.iter().any(|text| text == value),
            Wanted::Patterns(patterns) => patterns.iter().any(|pattern| pattern.matches(value)),
            Wanted::Networks(_) | Wanted::Times(_) => false,
        }
    }

    /// Whether a value is what a template becomes with one of the session's tags.
    fn template_holds(&self, value: &str, seen: &Circumstances<'_>) -> bool {
        let completed = |template: &str, tag: &Tag| match self.comparison {
            Comparison::EqualIgnoreCase => filled(template, tag).to_lowercase() == value.to_lowercase(),
            Comparison::Like => {
                Pattern::of_parts(template.split('*').map(|part| filled(part, tag))).matches(value)
            }
            _ => filled(template, tag) == value,
        };
        self.templates.iter().any(|template| seen.principal_tags.iter().any(|tag| completed(template, tag)))
    }

    fn time_holds(&self, wanted: &Wanted, now: UnixMillis) -> bool {
        let Wanted::Times(times) = wanted else { return false };
        times.iter().any(|time| match self.comparison {
            Comparison::TimeEqual => now == *time,
            Comparison::TimeLess => now < *time,
            _ => now <= *time,
        })
    }
}

#[derive(PartialEq, Eq)]
enum Kind {
    Ip,
    Text,
    Time,
}

const fn kind_of(key: Key) -> Kind {
    match key {
        Key::Ip => Kind::Ip,
        Key::CurrentTime => Kind::Time,
        Key::ResourceTag | Key::RequestTag | Key::PrincipalTag | Key::ExternalId => Kind::Text,
    }
}

const fn kind_of_comparison(comparison: Comparison) -> Kind {
    match comparison {
        Comparison::Ip => Kind::Ip,
        Comparison::Equal | Comparison::EqualIgnoreCase | Comparison::Like => Kind::Text,
        Comparison::TimeEqual | Comparison::TimeLess | Comparison::TimeLessOrEqual => Kind::Time,
    }
}

const fn is_tag(key: Key) -> bool {
    matches!(key, Key::ResourceTag | Key::RequestTag | Key::PrincipalTag)
}

/// A template with the words of a tag in it. A word is text: no `*` in it stands for anything else.
fn filled(template: &str, tag: &Tag) -> String {
    template.replace(TAG_KEY, &tag.key).replace(TAG_VALUE, &tag.value)
}

fn check_templates(templates: &[&str]) -> Result<(), String> {
    let rest = |template: &str| template.replace(TAG_KEY, "").replace(TAG_VALUE, "");
    match templates.iter().find(|template| rest(template).contains("${")) {
        Some(template) => Err(format!("`{template}` has another variable than {TAG_KEY} and {TAG_VALUE}")),
        None => Ok(()),
    }
}

fn wanted(key: Key, comparison: Comparison, values: &[&str]) -> Result<Wanted, String> {
    let is_pair = is_tag(key) && comparison != Comparison::Like;
    if let Some(value) = values.iter().find(|value| is_pair && !value.contains('&')) {
        return Err(format!("`{value}` is no tag: write KEY&VALUE"));
    }
    match kind_of_comparison(comparison) {
        Kind::Ip => {
            let networks =
                values.iter().map(|value| value.parse::<Network>().map_err(|error| error.to_string()));
            networks.collect::<Result<_, _>>().map(Wanted::Networks)
        }
        Kind::Time => {
            let time = |value: &&str| {
                let parsed = value.parse::<jiff::Timestamp>();
                parsed
                    .map(|time| UnixMillis(time.as_millisecond()))
                    .map_err(|_| format!("`{value}` is no time such as 2030-01-01T00:00:00Z"))
            };
            values.iter().map(time).collect::<Result<_, _>>().map(Wanted::Times)
        }
        Kind::Text if comparison == Comparison::Like => {
            Ok(Wanted::Patterns(values.iter().map(|value| Pattern::new(value)).collect()))
        }
        Kind::Text => Ok(Wanted::Texts(values.iter().map(|value| (*value).to_owned()).collect())),
    }
}

fn names<T>(table: &[T], name: impl Fn(&T) -> &'static str) -> String {
    table.iter().map(name).collect::<Vec<_>>().join(", ")
}
