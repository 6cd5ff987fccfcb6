//! Keys for a while: sessions of roles, and federation tokens.

use std::collections::HashSet;
use std::fmt;
use std::net::IpAddr;

use ashlar_db::{Holder, Role, Tag, TemporaryKey, TemporaryKind, Transaction};
use ashlar_types::{AccountUin, RoleId, SecretId, UnixMillis};

use crate::access::{Applicant, Identity, POLICY_BYTES_MAX, Policy, PolicyError, Principal};
use crate::control::Control;
use crate::error::{ControlError, ParameterError};
use crate::filter::{at_most, invalid};

/// Defaults and bounds in seconds. Source: `sts` AssumeRole and GetFederationToken, DurationSeconds.
const ROLE_SECONDS_DEFAULT: u64 = 7_200;
const FEDERATION_SECONDS_DEFAULT: u64 = 1_800;
const FEDERATION_SECONDS_MAX_OF_ACCOUNT: u64 = 7_200;
const FEDERATION_SECONDS_MAX_OF_USER: u64 = 129_600;

/// Bounds of the tags of a session, in characters. Source: `sts` AssumeRole, `Tags`, and its type Tag.
const TAGS_MAX: u64 = 50;
const TAG_KEY_CHARS_MAX: usize = 128;
const TAG_VALUE_CHARS_MAX: usize = 256;

const TOKEN_CHARACTERS: usize = 96;

/// Why no temporary key can be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionError {
    /// There is no such role, or it is another account's and does not trust the caller.
    RoleNotFound(String),
    /// The caller's own account has the role, and the role does not trust the caller.
    NotTrusted(String),
    /// The document of the session is not valid.
    Policy(PolicyError),
    /// The document of the session is longer than it may be; its bytes.
    PolicyTooLong(usize),
    /// The time is longer than it may be.
    TooLong {
        /// The seconds that were asked for.
        given: u64,
        /// How many there may be.
        at_most: u64,
    },
    /// Temporary keys give no federation tokens.
    TemporaryKey,
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RoleNotFound(role) => {
                write!(f, "The role `{role}` of the parameter `RoleArn` does not exist.")
            }
            Self::NotTrusted(role) => {
                write!(
                    f,
                    "The role `{role}` does not let the caller assume it: ask for a place in its trust."
                )
            }
            Self::Policy(error) => write!(f, "The parameter `Policy` is not valid: {error}."),
            Self::PolicyTooLong(bytes) => {
                write!(f, "The parameter `Policy` has {bytes} bytes, over the limit of {POLICY_BYTES_MAX}.")
            }
            Self::TooLong { given, at_most } => {
                write!(
                    f,
                    "The value `{given}` of the parameter `DurationSeconds` is over the limit of {at_most}."
                )
            }
            Self::TemporaryKey => f.write_str(
                "A temporary key cannot ask for a `Token` of this kind: use a permanent key, or AssumeRole.",
            ),
        }
    }
}

impl std::error::Error for SessionError {}

/// What AssumeRole asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssumeRole {
    /// `qcs::cam::uin/UIN:roleName/NAME` or `qcs::cam::uin/UIN:role/NUMBER`.
    pub role_arn: String,
    /// What the session is called.
    pub session_name: String,
    /// How long it lasts. Default: two hours.
    pub duration_seconds: Option<u64>,
    /// What it may do at most: a document, percent-encoded or plain.
    pub policy: Option<String>,
    /// What the role's trust may ask for.
    pub external_id: Option<String>,
    /// The tags of the session, which policies see.
    pub tags: Vec<Tag>,
    /// Refused unless it is the caller's own number.
    pub source_identity: Option<String>,
    /// The device that the code is of.
    pub serial_number: Option<String>,
    /// A one-time code.
    pub token_code: Option<String>,
}

/// What GetFederationToken asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetFederationToken {
    /// Who shall act: letters.
    pub name: String,
    /// What they may do at most, as in [`AssumeRole`].
    pub policy: String,
    /// How long. Default: half an hour.
    pub duration_seconds: Option<u64>,
}

/// A temporary key.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The public half.
    pub secret_id: SecretId,
    /// The secret half.
    pub secret_key: String,
    /// What must come with each request.
    pub token: String,
    /// When it ends.
    pub expires: UnixMillis,
}

impl Control {
    /// Gives a key that stands for a role. The caller's right to ask was checked; this checks the role's trust.
    pub async fn assume_role(
        &self,
        caller: &Principal,
        address: Option<IpAddr>,
        wanted: AssumeRole,
    ) -> Result<Credentials, ControlError> {
        let now = self.now();
        let (account, role) = role_named(&wanted.role_arn)?;
        check_session_name(&wanted.session_name)?;
        check_source_identity(caller, wanted.source_identity.as_deref())?;
        check_session_tags(&wanted.tags)?;
        let policy = wanted.policy.map(session_policy).transpose()?;
        let mut tx = self.db.read().await?;
        let role = find_role(&mut tx, account, role).await?;
        drop(tx);
        let session_tags: Vec<String> =
            wanted.tags.iter().map(|tag| format!("{}&{}", tag.key, tag.value)).collect();
        let applicant = Applicant {
            account: caller.principal_account,
            number: caller.principal.0,
            external_id: wanted.external_id.as_deref(),
            session_tags: &session_tags,
            ip: address,
            now,
        };
        let role = trusted(role, caller, &applicant, &wanted.role_arn)?;
        let seconds = wanted.duration_seconds.unwrap_or(ROLE_SECONDS_DEFAULT.min(role.session_seconds_max));
        check_duration(seconds, role.session_seconds_max)?;
        let verified = self.check_device(caller, wanted.serial_number, wanted.token_code, now).await?;
        let key = TemporaryKey {
            secret_id: self.new_secret_id()?,
            secret_key: self.random_characters(32),
            token: self.random_characters(TOKEN_CHARACTERS),
            account,
            kind: TemporaryKind::Role,
            holder: role.id.into(),
            session_name: wanted.session_name,
            asked_by: caller.principal,
            asked_by_account: caller.principal_account,
            policy,
            tags: wanted.tags,
            verified,
            created: now,
            expires: end_of(now, seconds),
        };
        self.give(key).await
    }

    /// Gives a key that acts in the caller's name, within a policy.
    pub async fn get_federation_token(
        &self,
        caller: &Principal,
        wanted: GetFederationToken,
    ) -> Result<Credentials, ControlError> {
        if caller.token.is_some() {
            return Err(SessionError::TemporaryKey.into());
        }
        let is_name = (1..=128).contains(&wanted.name.len())
            && wanted.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.@=,".contains(&byte));
        if !is_name {
            return Err(invalid("Name", wanted.name.escape_default(), "1 to 128 letters").into());
        }
        let policy = session_policy(wanted.policy)?;
        let seconds = wanted.duration_seconds.unwrap_or(FEDERATION_SECONDS_DEFAULT);
        let at_most = match caller.identity {
            Identity::Account => FEDERATION_SECONDS_MAX_OF_ACCOUNT,
            _ => FEDERATION_SECONDS_MAX_OF_USER,
        };
        check_duration(seconds, at_most)?;
        let now = self.now();
        let key = TemporaryKey {
            secret_id: self.new_secret_id()?,
            secret_key: self.random_characters(32),
            token: self.random_characters(TOKEN_CHARACTERS),
            account: caller.account,
            kind: TemporaryKind::Federation,
            holder: caller.principal,
            session_name: wanted.name,
            asked_by: caller.principal,
            asked_by_account: caller.principal_account,
            policy: Some(policy),
            tags: Vec::new(),
            verified: None,
            created: now,
            expires: end_of(now, seconds),
        };
        self.give(key).await
    }

    async fn give(&self, key: TemporaryKey) -> Result<Credentials, ControlError> {
        let mut tx = self.db.write().await?;
        tx.access().insert_temporary_key(&key).await?;
        tx.commit().await?;
        let TemporaryKey { secret_id, secret_key, token, expires, .. } = key;
        Ok(Credentials { secret_id, secret_key, token, expires })
    }

    /// A code proves once that the caller has the device; the session has proved it then.
    async fn check_device(
        &self,
        caller: &Principal,
        serial_number: Option<String>,
        code: Option<String>,
        now: UnixMillis,
    ) -> Result<Option<UnixMillis>, ControlError> {
        let Some(code) = code.filter(|code| !code.is_empty()) else {
            return match serial_number.filter(|number| !number.is_empty()) {
                None => Ok(None),
                Some(_) => Err(ParameterError::Missing {
                    parameter: "TokenCode",
                    why: "`SerialNumber` names a device",
                }
                .into()),
            };
        };
        let expected = format!("qcs::cam:uin/{}::mfa/softToken", caller.principal);
        let number = serial_number.unwrap_or_else(|| expected.clone());
        if number != expected {
            return Err(invalid("SerialNumber", number, format!("`{expected}`")).into());
        }
        self.take_code(caller, &code, now).await?;
        Ok(Some(now))
    }
}

/// How a role was named.
enum RoleName {
    Name(String),
    Number(RoleId),
}

fn role_named(arn: &str) -> Result<(AccountUin, RoleName), ControlError> {
    let read = || {
        let (account, role) = arn.strip_prefix("qcs::cam::uin/")?.split_once(':')?;
        let account = AccountUin(account.parse().ok()?);
        if let Some(name) = role.strip_prefix("roleName/") {
            return Some((account, RoleName::Name(name.to_owned())));
        }
        Some((account, RoleName::Number(RoleId(role.strip_prefix("role/")?.parse().ok()?))))
    };
    let form = "a role such as qcs::cam::uin/100000000001:roleName/NAME";
    read().ok_or_else(|| invalid("RoleArn", arn.escape_default(), form).into())
}

async fn find_role(
    tx: &mut Transaction,
    account: AccountUin,
    role: RoleName,
) -> Result<Option<Role>, ControlError> {
    Ok(match role {
        RoleName::Name(name) => tx.users().find_role(account, &name).await?,
        RoleName::Number(number) => tx.users().find_role_number(account, number).await?,
    })
}

/// Another account's role that does not trust the caller is answered like one that does not exist.
fn trusted(
    role: Option<Role>,
    caller: &Principal,
    applicant: &Applicant<'_>,
    arn: &str,
) -> Result<Role, ControlError> {
    let Some(role) = role else { return Err(SessionError::RoleNotFound(arn.to_owned()).into()) };
    if Policy::parse_trust(&role.trust).is_ok_and(|trust| trust.trusts(applicant)) {
        return Ok(role);
    }
    let is_own = role.account == caller.account;
    let arn = arn.to_owned();
    Err(if is_own { SessionError::NotTrusted(arn) } else { SessionError::RoleNotFound(arn) }.into())
}

fn check_session_name(name: &str) -> Result<(), ParameterError> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
    if (2..=128).contains(&name.len()) && name.bytes().all(good) {
        return Ok(());
    }
    let expected = "2 to 128 letters, digits and characters of =,.@_-+";
    Err(invalid("RoleSessionName", name.escape_default(), expected))
}

fn check_session_tags(tags: &[Tag]) -> Result<(), ParameterError> {
    at_most("Tags", tags.len(), TAGS_MAX)?;
    let mut keys = HashSet::new();
    for Tag { key, value } in tags {
        if key.is_empty() || key.chars().count() > TAG_KEY_CHARS_MAX {
            let expected = format!("1 to {TAG_KEY_CHARS_MAX} characters");
            return Err(invalid("Tags.Key", key.escape_default(), expected));
        }
        if value.chars().count() > TAG_VALUE_CHARS_MAX {
            let expected = format!("at most {TAG_VALUE_CHARS_MAX} characters");
            return Err(invalid("Tags.Value", value.escape_default(), expected));
        }
        if !keys.insert(key) {
            return Err(invalid("Tags.Key", key.escape_default(), "each key once"));
        }
    }
    Ok(())
}

fn check_source_identity(caller: &Principal, identity: Option<&str>) -> Result<(), ParameterError> {
    let own = caller.principal.to_string();
    match identity.filter(|identity| !identity.is_empty() && *identity != own) {
        Some(other) => {
            Err(invalid("SourceIdentity", other.escape_default(), format!("the caller's own number {own}")))
        }
        None => Ok(()),
    }
}

fn check_duration(given: u64, at_most: u64) -> Result<(), ControlError> {
    match given {
        0 => Err(invalid("DurationSeconds", given, "at least 1").into()),
        _ if given > at_most => Err(SessionError::TooLong { given, at_most }.into()),
        _ => Ok(()),
    }
}

/// The document, decoded and checked. Clients are told to percent-encode it, and many do not.
fn session_policy(text: String) -> Result<String, ControlError> {
    let text = if text.trim_start().starts_with('{') { text } else { percent_decoded(&text)? };
    if text.len() > POLICY_BYTES_MAX {
        return Err(SessionError::PolicyTooLong(text.len()).into());
    }
    Policy::parse(&text).map_err(SessionError::Policy)?;
    Ok(text)
}

fn percent_decoded(text: &str) -> Result<String, ParameterError> {
    let wrong = || invalid("Policy", "%", "JSON, plain or percent-encoded");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = match (first, tail) {
            (b'%', [high, low, tail @ ..]) => {
                let digit = |byte: u8| char::from(byte).to_digit(16).ok_or_else(wrong);
                bytes.push((digit(*high)? << 4 | digit(*low)?) as u8);
                tail
            }
            (b'%', _) => return Err(wrong()),
            (b'+', tail) => {
                bytes.push(b' ');
                tail
            }
            (byte, tail) => {
                bytes.push(*byte);
                tail
            }
        };
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

fn end_of(now: UnixMillis, seconds: u64) -> UnixMillis {
    now.plus_ms(i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1000))
}

impl Principal {
    /// Who it is, in six parts.
    #[must_use]
    pub fn arn(&self) -> String {
        let account = self.account;
        match &self.identity {
            Identity::Account => format!("qcs::cam:{account}:uin/{account}"),
            Identity::User { uin, .. } => format!("qcs::cam:{account}:uin/{uin}"),
            Identity::Role { id, .. } => format!("qcs::sts:{account}:assumed-role/{id}"),
            Identity::Federated { .. } => format!("qcs::sts:{account}:federated-user/{}", self.principal),
        }
    }

    /// Who it is, in short.
    #[must_use]
    pub fn user_id(&self) -> String {
        match &self.identity {
            Identity::Account | Identity::User { .. } => self.principal.to_string(),
            Identity::Role { id, session } => format!("{id}:{session}"),
            Identity::Federated { name } => format!("{}:{name}", self.principal),
        }
    }

    /// The number of the account or user whose key it is, or who asked for it.
    #[must_use]
    pub const fn principal_id(&self) -> Holder {
        self.principal
    }
}
