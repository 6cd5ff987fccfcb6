//! Who calls, and what they may do: keys become principals, policies decide, one-time codes guard what cannot be
//! taken back. Policies, networks and codes are pure; what they are held against comes from `db`.
//!
//! Every answer is made from what the caller named and from the caller's own account, so that a refusal looks
//! the same whether the thing exists, belongs to another account, or does not.

mod condition;
mod network;
mod pattern;
mod policy;
mod principal;
mod second_factor;
mod totp;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;

use ashlar_db::{Holder, NetworkEffect, Tag, Tagged};
use ashlar_types::{RandomSource, UnixMillis};

pub use network::{Network, NetworkError};
pub use pattern::ResourceName;
pub(crate) use policy::Applicant;
pub use policy::{POLICY_BYTES_MAX, Policy, PolicyError, Question};
pub(crate) use principal::Principals;
pub use principal::{Identity, Principal, Token};
pub(crate) use second_factor::SecondFactor;

use crate::control::Control;
use crate::error::ControlError;
use crate::tag::read_id;
use policy::Verdict;

/// Why a call may not be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessError {
    /// No policy allows it, or one denies it.
    NotAuthorized {
        /// The action, as policies name it.
        action: String,
        /// The resource as the caller named it, or `*`.
        resource: String,
    },
    /// The account's rules deny the network that it comes from.
    NetworkDenied(String),
    /// The account's rules name the networks that calls may come from, and this is none of them.
    NetworkNotAllowed(String),
    /// It needs a one-time code, and none was given in the last half hour.
    CodeMissing,
    /// The one-time code is not right.
    CodeWrong(&'static str),
}

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAuthorized { action, resource } => write!(
                f,
                "You are not authorized to perform the operation `{action}` on the resource `{resource}`: ask the \
                 account's owner for a policy that allows it."
            ),
            Self::NetworkDenied(address) => {
                write!(f, "The account takes no calls from `{address}`: it is in a network that is denied.")
            }
            Self::NetworkNotAllowed(address) => {
                write!(f, "The account takes no calls from `{address}`: it is in no network that is allowed.")
            }
            Self::CodeMissing => write!(
                f,
                "This operation needs a one-time code: send the one that your device shows in the header `{CODE_HEADER}`; \
                 it is good for the key's next {} minutes.",
                second_factor::WINDOW_MS / 60_000
            ),
            Self::CodeWrong(why) => write!(f, "The one-time code in `{CODE_HEADER}` is not right: {why}."),
        }
    }
}

impl std::error::Error for AccessError {}

/// The header that carries a one-time code.
pub const CODE_HEADER: &str = "X-TC-MFA-Code";

/// What a call asks for.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// The action and what surrounds it.
    pub question: Question<'a>,
    /// What it touches, each of which needs a right. None: the right is to the action as a whole.
    pub resources: &'a [ResourceName],
    /// False for what anybody with a key may ask.
    pub needs_right: bool,
    /// Whether it cannot be taken back, so that a one-time code is asked for where a device is enrolled.
    pub is_sensitive: bool,
    /// The one-time code that came with it.
    pub code: Option<&'a str>,
}

impl Control {
    /// Whether calls for the principal's account may come from this address.
    pub fn check_network(&self, principal: &Principal, address: Option<IpAddr>) -> Result<(), AccessError> {
        check_networks(&principal.networks, address)
    }

    /// Whether the principal may do what it asks for.
    ///
    /// Looks at names only: whether the things exist is not known here, and makes no difference.
    pub async fn authorize(&self, principal: &Principal, ask: &Ask<'_>) -> Result<(), ControlError> {
        if ask.needs_right && !principal.may_do_all() {
            self.check_rights(principal, ask).await?;
        }
        self.check_code(principal, ask).await
    }

    async fn check_rights(&self, principal: &Principal, ask: &Ask<'_>) -> Result<(), ControlError> {
        let refused = |resource: String| {
            let action = format!("{}:{}", ask.question.product, ask.question.action);
            Err(AccessError::NotAuthorized { action, resource }.into())
        };
        if ask.resources.is_empty() {
            return match principal.decide(&ask.question, None) {
                Verdict::Allowed => Ok(()),
                Verdict::Silent | Verdict::Denied => refused("*".to_owned()),
            };
        }
        let tags = match principal.asks_for_resource_tags() {
            true => self.tags_of(principal, ask.resources).await?,
            false => HashMap::new(),
        };
        for name in ask.resources {
            let tags = tags.get(name.id()).map_or(&[][..], Vec::as_slice);
            if principal.decide(&ask.question, Some((name, tags))) != Verdict::Allowed {
                return refused(name.to_string());
            }
        }
        Ok(())
    }

    /// The tags of the account's own among these, as policies write them. What belongs to another account has none
    /// here, like what does not exist.
    async fn tags_of(
        &self,
        principal: &Principal,
        resources: &[ResourceName],
    ) -> Result<HashMap<String, Vec<String>>, ControlError> {
        let read = |name: &ResourceName| Some((name.id().to_owned(), read_id(&name.service, name.id())?));
        let named: Vec<(String, Tagged)> = resources.iter().filter_map(read).collect();
        let ids: Vec<Tagged> = named.iter().map(|(_, resource)| *resource).collect();
        let mut tx = self.db.read().await?;
        let own: Vec<Tagged> = tx.tags().owned(principal.account, &ids).await?.into_keys().collect();
        let tags = tx.tags().of(&own).await?;
        let written = |tags: &Vec<Tag>| tags.iter().map(|tag| format!("{}&{}", tag.key, tag.value)).collect();
        Ok(named
            .into_iter()
            .filter_map(|(name, resource)| Some((name, written(tags.get(&resource)?))))
            .collect())
    }

    /// A code that came is looked at whatever the action is: a wrong one is never overlooked, and a good one
    /// opens the key's window.
    async fn check_code(&self, principal: &Principal, ask: &Ask<'_>) -> Result<(), ControlError> {
        let now = ask.question.now;
        if let Some(code) = ask.code {
            self.take_code(principal, code, now).await?;
            self.second_factor.open_window(&principal.secret_id, now);
            return Ok(());
        }
        let is_guarded = ask.is_sensitive && principal.factor.is_some();
        let is_verified = || {
            let proved = principal.verified.is_some_and(|time| second_factor::is_fresh(time, now));
            proved || self.second_factor.is_open(&principal.secret_id, now)
        };
        if is_guarded && !is_verified() { Err(AccessError::CodeMissing.into()) } else { Ok(()) }
    }

    /// Takes a one-time code of the principal's device, once.
    pub(crate) async fn take_code(
        &self,
        principal: &Principal,
        code: &str,
        now: UnixMillis,
    ) -> Result<(), ControlError> {
        let wrong = |why| ControlError::from(AccessError::CodeWrong(why));
        let factor = principal.factor.as_ref().ok_or_else(|| wrong("no device is enrolled for this key"))?;
        if self.second_factor.is_locked(factor.holder, now) {
            return Err(wrong("there were too many wrong ones; wait five minutes"));
        }
        let Some(step) = totp::step_of(&factor.secret, code, now) else {
            self.second_factor.failed(factor.holder, now);
            return Err(wrong("the device shows another one now"));
        };
        let mut tx = self.db.write().await?;
        if !tx.access().take_step(factor.holder, step).await? {
            self.second_factor.failed(factor.holder, now);
            return Err(wrong("it was used before; wait for the next one"));
        }
        tx.commit().await?;
        self.second_factor.succeeded(factor.holder);
        Ok(())
    }
}

fn check_networks(rules: &[(NetworkEffect, Network)], address: Option<IpAddr>) -> Result<(), AccessError> {
    if rules.is_empty() {
        return Ok(());
    }
    let shown =
        address.map_or_else(|| "an unknown address".to_owned(), |address| address.to_canonical().to_string());
    let is_in = |network: &Network| address.is_some_and(|address| network.contains(address));
    let of = |wanted| rules.iter().filter(move |(effect, _)| *effect == wanted).map(|(_, network)| network);
    if of(NetworkEffect::Deny).any(is_in) {
        return Err(AccessError::NetworkDenied(shown));
    }
    match of(NetworkEffect::Allow).count() == 0 || of(NetworkEffect::Allow).any(is_in) {
        true => Ok(()),
        false => Err(AccessError::NetworkNotAllowed(shown)),
    }
}

/// A secret for a new device, in base32.
pub(crate) fn new_device_secret(random: &dyn RandomSource) -> String {
    totp::new_secret(random)
}

/// Whose device guards a principal, and what its codes are made from.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Factor {
    pub(crate) holder: Holder,
    pub(crate) secret: String,
}
