//! The patterns of policies: texts with `*`, actions and resources.

use ashlar_types::{AccountUin, AppId};

/// A text in which `*` stands for any text: the parts between the stars.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern(Vec<String>);

impl Pattern {
    pub(super) fn new(text: &str) -> Self {
        Self::of_parts(text.split('*').map(str::to_owned))
    }

    /// The parts with any text between them; a star in a part stands for itself.
    pub(super) fn of_parts(parts: impl Iterator<Item = String>) -> Self {
        Self(parts.collect())
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        let Some((first, parts)) = self.0.split_first() else { return text.is_empty() };
        let Some(mut rest) = text.strip_prefix(first.as_str()) else { return false };
        let Some((last, inner)) = parts.split_last() else { return rest.is_empty() };
        for part in inner {
            match rest.find(part.as_str()) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        rest.ends_with(last.as_str())
    }
}

/// `cbs:CreateDisks`, `name/cbs:*` or `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ActionPattern {
    product: Pattern,
    name: Pattern,
}

impl ActionPattern {
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        const FORM: &str = "an action such as cbs:CreateDisks, name/cbs:Describe*, cbs:* or *";
        if text == "*" {
            return Ok(Self { product: Pattern::new("*"), name: Pattern::new("*") });
        }
        let text = text.strip_prefix("name/").unwrap_or(text);
        let word = |part: &str, more: &[u8]| {
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
        };
        let parts = text.split_once(':').filter(|(product, name)| word(product, b"*-") && word(name, b"*"));
        let (product, name) = parts.ok_or(FORM)?;
        Ok(Self { product: Pattern::new(product), name: Pattern::new(name) })
    }

    pub(super) fn matches(&self, product: &str, name: &str) -> bool {
        self.product.matches(product) && self.name.matches(name)
    }
}

/// Something that a call touches, in the six parts of its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceName {
    /// The product.
    pub service: String,
    /// The region; empty for what has none.
    pub region: String,
    /// The account that is asked about it.
    pub account: AccountUin,
    /// The account's second number, where it is known.
    pub app_id: Option<AppId>,
    /// `volume/disk-xxxxxxxx`; `volume/*` for all or new ones.
    pub resource: String,
}

impl std::fmt::Display for ResourceName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "qcs::{}:{}:uin/{}:{}", self.service, self.region, self.account, self.resource)
    }
}

impl ResourceName {
    /// The name inside its kind: `disk-xxxxxxxx`.
    #[must_use]
    pub fn id(&self) -> &str {
        self.resource.split_once('/').map_or(self.resource.as_str(), |(_, id)| id)
    }
}

/// The older names of regions, which policies may use.
const REGION_ABBREVIATIONS: &[(&str, &str)] = &[
    ("gz", "ap-guangzhou"),
    ("sh", "ap-shanghai"),
    ("bj", "ap-beijing"),
    ("hk", "ap-hongkong"),
    ("sg", "ap-singapore"),
    ("cd", "ap-chengdu"),
    ("ca", "na-toronto"),
    ("de", "eu-frankfurt"),
];

/// Whose resources a policy speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AccountPattern {
    /// Those of the account that the policy belongs to.
    Own,
    Any,
    Uin(AccountUin),
    AppId(AppId),
}

/// `*`, or `qcs::cbs:ap-guangzhou:uin/100000000001:volume/disk-*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ResourcePattern {
    Everything,
    Named { service: Pattern, region: Pattern, account: AccountPattern, resource: Pattern },
}

impl ResourcePattern {
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        const FORM: &str = "a resource such as *, qcs::cbs:ap-guangzhou:uin/100000000001:volume/disk-xxxxxxxx or qcs::cbs:::volume/*";
        if text == "*" {
            return Ok(Self::Everything);
        }
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let [qcs, project, service, region, account, resource] = parts[..] else { return Err(FORM) };
        if qcs != "qcs" || resource.is_empty() {
            return Err(FORM);
        }
        if !project.is_empty() {
            return Err("no project in a resource: leave the second of the six parts empty");
        }
        let account = match account.split_once('/') {
            None if account.is_empty() => AccountPattern::Own,
            None if account == "*" => AccountPattern::Any,
            Some(("uin", "*")) => AccountPattern::Any,
            Some(("uin", number)) => AccountPattern::Uin(AccountUin(number.parse().map_err(|_| FORM)?)),
            Some(("uid", number)) => AccountPattern::AppId(AppId(number.parse().map_err(|_| FORM)?)),
            _ => return Err(FORM),
        };
        let all_if_empty = |part: &str| Pattern::new(if part.is_empty() { "*" } else { part });
        let long = REGION_ABBREVIATIONS.iter().find(|(short, _)| *short == region);
        Ok(Self::Named {
            service: all_if_empty(service),
            region: all_if_empty(long.map_or(region, |(_, long)| long)),
            account,
            resource: Pattern::new(resource),
        })
    }

    /// Whether it stands for this resource, in a policy of account `own`.
    pub(super) fn matches(&self, name: &ResourceName, own: AccountUin) -> bool {
        let Self::Named { service, region, account, resource } = self else { return true };
        let is_owner = match account {
            AccountPattern::Own => name.account == own,
            AccountPattern::Any => true,
            AccountPattern::Uin(uin) => name.account == *uin,
            AccountPattern::AppId(app_id) => name.app_id == Some(*app_id),
        };
        // What has no region lies in all of them.
        let is_there = name.region.is_empty() || region.matches(&name.region);
        is_owner && is_there && service.matches(&name.service) && resource.matches(&name.resource)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_text() {
        for (pattern, yes, no) in [
            ("*", "anything", ""),
            ("a*", "abc", "ba"),
            ("*a", "cba", "ab"),
            ("a*b*c", "a--b--c", "a--c--b"),
            ("a*a", "aa", "a"),
            ("Describe*s", "DescribeDisks", "DescribeDisk"),
            ("exact", "exact", "exactly"),
            ("*ab*ab", "abab", "ab"),
            ("a**b", "ab", "a"),
        ] {
            assert!(Pattern::new(pattern).matches(yes), "{pattern} {yes}");
            assert!(pattern == "*" || !Pattern::new(pattern).matches(no), "{pattern} {no}");
        }
        assert!(Pattern::new("*").matches(""));
        assert!(!Pattern::new("").matches("a"));
    }

    #[test]
    fn actions_name_a_product() {
        for (pattern, matching) in [
            ("*", [true, true, true]),
            ("cbs:*", [true, true, false]),
            ("name/cbs:*", [true, true, false]),
            ("cbs:Describe*", [false, true, false]),
            ("cbs:CreateDisks", [true, false, false]),
            ("*:DescribeDisks", [false, true, false]),
            ("cbs:createdisks", [false, false, false]),
        ] {
            let action = ActionPattern::parse(pattern).unwrap();
            let found = [("cbs", "CreateDisks"), ("cbs", "DescribeDisks"), ("sts", "AssumeRole")]
                .map(|(product, name)| action.matches(product, name));
            assert_eq!(found, matching, "{pattern}");
        }
        for wrong in ["", "CreateDisks", "cbs:", ":x", "permid/1", "name/CreateDisks", "cbs:a b", "cbs:a:b"] {
            assert!(ActionPattern::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn resources_have_six_parts() {
        let own = AccountUin(1);
        let name = ResourceName {
            service: "cbs".to_owned(),
            region: "ap-guangzhou".to_owned(),
            account: own,
            app_id: Some(AppId(7)),
            resource: "volume/disk-00000001".to_owned(),
        };
        assert_eq!(name.to_string(), "qcs::cbs:ap-guangzhou:uin/1:volume/disk-00000001");
        assert_eq!(name.id(), "disk-00000001");
        for (pattern, expected) in [
            ("*", true),
            ("qcs::cbs:ap-guangzhou:uin/1:volume/disk-00000001", true),
            ("qcs::cbs:gz:uin/1:volume/*", true),
            ("qcs::cbs:::volume/*", true),
            ("qcs:::::*", true),
            ("qcs::cbs::uid/7:volume/disk-0*", true),
            ("qcs::cbs:*:*:volume/disk-00000001", true),
            ("qcs::cbs:ap-beijing:uin/1:volume/*", false),
            ("qcs::cbs:bj::volume/*", false),
            ("qcs::cbs::uin/2:volume/*", false),
            ("qcs::cbs::uid/8:volume/*", false),
            ("qcs::cvm:::volume/*", false),
            ("qcs::cbs:::snapshot/*", false),
        ] {
            assert_eq!(ResourcePattern::parse(pattern).unwrap().matches(&name, own), expected, "{pattern}");
        }
        let of_other = ResourcePattern::parse("qcs::cbs:::volume/*").unwrap();
        assert!(!of_other.matches(&name, AccountUin(2)), "an empty account is the policy's own");
        for wrong in
            ["", "volume/disk-1", "qcs::cbs:::", "qcs:7:cbs:::volume/*", "qcs::cbs::me:x", "arn::cbs:::x"]
        {
            assert!(ResourcePattern::parse(wrong).is_err(), "{wrong}");
        }
    }
}
