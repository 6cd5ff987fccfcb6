//! Policies: what a user, a role or a session may do. A document of version 2.0 is read once into patterns and
//! decided by a pure function; whatever it denies wins over whatever allows.

use std::fmt;
use std::net::IpAddr;

use ashlar_db::Tag;
use ashlar_types::{AccountUin, UnixMillis};
use serde_json::{Map, Value};

use super::condition::{Circumstances, Condition, Key};
use super::pattern::{ActionPattern, ResourceName, ResourcePattern};

/// The longest document, in bytes.
pub const POLICY_BYTES_MAX: usize = 6 * 1024;

/// What is wrong with a policy, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyError {
    /// Such as `statement 2, resource 1`; counted from 1.
    pub place: String,
    /// What is wrong, and what would be right.
    pub what: String,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

impl std::error::Error for PolicyError {}

fn wrong<T>(place: impl Into<String>, what: impl Into<String>) -> Result<T, PolicyError> {
    Err(PolicyError { place: place.into(), what: what.into() })
}

/// A document, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    statements: Vec<Statement>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Statement {
    denies: bool,
    actions: Vec<ActionPattern>,
    resources: Vec<ResourcePattern>,
    /// Only in the document that says who may assume a role.
    principals: Vec<TrustedPrincipal>,
    conditions: Vec<Condition>,
}

/// Who may assume a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TrustedPrincipal {
    /// Whoever in the account has the right to.
    Account(AccountUin),
    /// One user.
    User(AccountUin, u64),
}

/// What a document is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// Rights: names resources and nobody.
    Rights,
    /// Trust of a role: names who, and no resources.
    Trust,
}

impl Policy {
    /// Reads the rights of a user, a role or a session.
    pub fn parse(document: &str) -> Result<Self, PolicyError> {
        Self::parse_for(document, Purpose::Rights)
    }

    /// Reads who may assume a role.
    pub fn parse_trust(document: &str) -> Result<Self, PolicyError> {
        Self::parse_for(document, Purpose::Trust)
    }

    fn parse_for(document: &str, purpose: Purpose) -> Result<Self, PolicyError> {
        if document.len() > POLICY_BYTES_MAX {
            return wrong("the policy", format!("{} bytes; there may be {POLICY_BYTES_MAX}", document.len()));
        }
        let value: Value = match serde_json::from_str(document) {
            Ok(value) => value,
            Err(error) => return wrong("the policy", format!("no JSON: {error}")),
        };
        let Value::Object(members) = value else { return wrong("the policy", "must be an object") };
        only(&members, "the policy", &["version", "statement"])?;
        match members.get("version") {
            Some(Value::String(version)) if version == "2.0" => {}
            _ => return wrong("version", "must be \"2.0\""),
        }
        let statements = match members.get("statement") {
            Some(Value::Array(list)) if !list.is_empty() => list.iter().collect(),
            Some(one @ Value::Object(_)) => vec![one],
            _ => return wrong("statement", "must be a list of at least one statement"),
        };
        let statements =
            (1..).zip(statements).map(|(number, statement)| Statement::parse(number, statement, purpose));
        Ok(Self { statements: statements.collect::<Result<_, _>>()? })
    }

    /// Whether a decision needs to know the tags of resources.
    pub(super) fn asks_for_resource_tags(&self) -> bool {
        let mut conditions = self.statements.iter().flat_map(|statement| &statement.conditions);
        conditions.any(|condition| condition.key == Key::ResourceTag)
    }
}

impl Statement {
    fn parse(number: usize, value: &Value, purpose: Purpose) -> Result<Self, PolicyError> {
        let place = |field: &str| format!("statement {number}, {field}");
        let Value::Object(members) = value else {
            return wrong(format!("statement {number}"), "must be an object");
        };
        let object = match purpose {
            Purpose::Rights => "resource",
            Purpose::Trust => "principal",
        };
        only(members, &format!("statement {number}"), &["effect", "action", object, "condition"])?;
        let denies = match members.get("effect").and_then(Value::as_str) {
            Some("allow") => false,
            Some("deny") => true,
            _ => return wrong(place("effect"), "must be \"allow\" or \"deny\""),
        };
        let parsed = |field: &str, error: &'static str, at: usize, text: &str| PolicyError {
            place: format!("{} {at}", place(field)),
            what: format!("`{text}` is not {error}"),
        };
        let actions = texts(members.get("action"), &place("action"))?;
        let actions = (1..)
            .zip(actions)
            .map(|(at, text)| ActionPattern::parse(text).map_err(|error| parsed("action", error, at, text)));
        let actions = actions.collect::<Result<_, _>>()?;
        let (mut resources, mut principals) = (Vec::new(), Vec::new());
        match purpose {
            Purpose::Rights => {
                for (at, text) in (1..).zip(texts(members.get("resource"), &place("resource"))?) {
                    let resource = ResourcePattern::parse(text);
                    resources.push(resource.map_err(|error| parsed("resource", error, at, text))?);
                }
            }
            Purpose::Trust => principals = trusted(members.get("principal"), &place("principal"))?,
        }
        let conditions = conditions(members.get("condition"), &place("condition"), purpose)?;
        Ok(Self { denies, actions, resources, principals, conditions })
    }
}

/// Refuses members that mean nothing.
fn only(members: &Map<String, Value>, place: &str, known: &[&str]) -> Result<(), PolicyError> {
    match members.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => wrong(place, format!("there is no member `{name}`: there are {}", known.join(", "))),
        None => Ok(()),
    }
}

/// One text or a list of them.
fn texts<'v>(value: Option<&'v Value>, place: &str) -> Result<Vec<&'v str>, PolicyError> {
    let texts = match value {
        Some(Value::String(text)) => Some(vec![text.as_str()]),
        Some(Value::Array(list)) if !list.is_empty() => list.iter().map(Value::as_str).collect(),
        _ => None,
    };
    texts.map_or_else(|| wrong(place, "must be a text or a list of texts, at least one"), Ok)
}

fn trusted(value: Option<&Value>, place: &str) -> Result<Vec<TrustedPrincipal>, PolicyError> {
    const FORM: &str = "qcs::cam::uin/ACCOUNT:root or qcs::cam::uin/ACCOUNT:uin/USER";
    let Some(Value::Object(members)) = value else {
        return wrong(place, "must be an object such as {\"qcs\": [\"qcs::cam::uin/100000000001:root\"]}");
    };
    only(members, place, &["qcs"])?;
    let read = |text: &str| {
        let (account, who) = text.strip_prefix("qcs::cam::uin/")?.split_once(':')?;
        let account = AccountUin(account.parse().ok()?);
        match who.strip_prefix("uin/") {
            Some(user) => Some(TrustedPrincipal::User(account, user.parse().ok()?)),
            None => (who == "root").then_some(TrustedPrincipal::Account(account)),
        }
    };
    let list = texts(members.get("qcs"), &format!("{place} qcs"))?.into_iter();
    list.map(|text| read(text).map_or_else(|| wrong(place, format!("`{text}` is not {FORM}")), Ok)).collect()
}

fn conditions(value: Option<&Value>, place: &str, purpose: Purpose) -> Result<Vec<Condition>, PolicyError> {
    let operators = match value {
        None => return Ok(Vec::new()),
        Some(Value::Object(operators)) => operators,
        Some(_) => return wrong(place, "must be an object"),
    };
    let mut conditions = Vec::new();
    for (operator, keys) in operators {
        let Value::Object(keys) = keys else {
            return wrong(format!("{place} {operator}"), "must be an object");
        };
        for (key, values) in keys {
            let place = format!("{place} {operator} {key}");
            let values = texts(Some(values), &place)?;
            let condition = Condition::parse(operator, key, &values);
            let condition = condition.or_else(|what| wrong(&place, what))?;
            if !has_meaning(condition.key, purpose) {
                return wrong(place, "this key has no meaning here");
            }
            conditions.push(condition);
        }
    }
    Ok(conditions)
}

/// Who asks for a role has no tags of its own and touches nothing that has some; it may ask with tags.
const fn has_meaning(key: Key, purpose: Purpose) -> bool {
    match (key, purpose) {
        (Key::Ip | Key::RequestTag, _) | (Key::ExternalId, Purpose::Trust) => true,
        (Key::ExternalId, Purpose::Rights) | (_, Purpose::Trust) => false,
        (_, Purpose::Rights) => true,
    }
}

/// What is asked of policies.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The product of the action.
    pub product: &'a str,
    /// The action.
    pub action: &'a str,
    /// Where the call comes from.
    pub ip: Option<IpAddr>,
    /// When.
    pub now: UnixMillis,
    /// The tags that it would bind, each as `KEY&VALUE`.
    pub request_tags: &'a [String],
}

/// What policies say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Allowed,
    /// Nothing allows it.
    Silent,
    Denied,
}

/// What the policies of account `own` say about an action on one resource, or on none, that a session with these
/// tags asks for.
pub(super) fn decide<'p>(
    policies: impl Iterator<Item = &'p Policy>,
    own: AccountUin,
    principal_tags: &[Tag],
    question: &Question<'_>,
    resource: Option<(&ResourceName, &[String])>,
) -> Verdict {
    let seen = Circumstances {
        ip: question.ip,
        now: question.now,
        resource_tags: resource.map_or(&[], |(_, tags)| tags),
        request_tags: question.request_tags,
        principal_tags,
        external_id: None,
    };
    let mut verdict = Verdict::Silent;
    for statement in policies.flat_map(|policy| &policy.statements) {
        let speaks = statement.actions.iter().any(|action| action.matches(question.product, question.action))
            && statement.resources.iter().any(|pattern| match resource {
                Some((name, _)) => pattern.matches(name, own),
                None => *pattern == ResourcePattern::Everything,
            })
            && statement.conditions.iter().all(|condition| condition.holds(&seen));
        match (speaks, statement.denies) {
            (true, true) => return Verdict::Denied,
            (true, false) => verdict = Verdict::Allowed,
            (false, _) => {}
        }
    }
    verdict
}

/// Who wants to assume a role.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Applicant<'a> {
    pub(crate) account: AccountUin,
    /// The account's or the user's number.
    pub(crate) number: u64,
    pub(crate) external_id: Option<&'a str>,
    /// The tags that the session shall have, each as `KEY&VALUE`.
    pub(crate) session_tags: &'a [String],
    pub(crate) ip: Option<IpAddr>,
    pub(crate) now: UnixMillis,
}

impl Policy {
    /// Whether this trust lets somebody assume its role.
    pub(crate) fn trusts(&self, applicant: &Applicant<'_>) -> bool {
        let seen = Circumstances {
            ip: applicant.ip,
            now: applicant.now,
            resource_tags: &[],
            request_tags: applicant.session_tags,
            principal_tags: &[],
            external_id: applicant.external_id,
        };
        let speaks = |statement: &&Statement| {
            statement.actions.iter().any(|action| action.matches("sts", "AssumeRole"))
                && statement.principals.iter().any(|principal| match *principal {
                    TrustedPrincipal::Account(account) => account == applicant.account,
                    TrustedPrincipal::User(account, number) => {
                        account == applicant.account && number == applicant.number
                    }
                })
                && statement.conditions.iter().all(|condition| condition.holds(&seen))
        };
        let mut speaking = self.statements.iter().filter(speaks).peekable();
        speaking.peek().is_some() && !speaking.any(|statement| statement.denies)
    }
}
