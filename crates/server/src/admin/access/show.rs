//! The answers for people.

use super::{AccessAnswer, HolderName};

/// An answer as lines.
pub(crate) fn to_text(answer: &AccessAnswer) -> String {
    let none = |noun: &str| format!("no {noun}");
    match answer {
        AccessAnswer::Account(account) => account.uin.to_string(),
        AccessAnswer::Accounts(accounts) => columns(
            &["UIN", "APPID", "ENABLED", "NAME"],
            accounts.iter().map(|account| {
                vec![
                    account.uin.to_string(),
                    account.app_id.to_string(),
                    yes(account.enabled),
                    account.name.clone(),
                ]
            }),
        ),
        AccessAnswer::User(user) => user.uin.to_string(),
        AccessAnswer::Users(users) if users.is_empty() => none("users; add one with `ashlar user add NAME`"),
        AccessAnswer::Users(users) => columns(
            &["UIN", "MFA", "NAME"],
            users.iter().map(|user| vec![user.uin.to_string(), yes(user.mfa), user.name.clone()]),
        ),
        AccessAnswer::Key(key) => {
            let secret_key = key.secret_key.as_deref().unwrap_or_default();
            format!(
                "SecretId   {}\nSecretKey  {secret_key}\nThe SecretKey is shown this once.",
                key.secret_id
            )
        }
        AccessAnswer::Keys(keys) if keys.is_empty() => none("keys; add one with `ashlar key add`"),
        AccessAnswer::Keys(keys) => columns(
            &["SECRETID", "ENABLED"],
            keys.iter().map(|key| vec![key.secret_id.clone(), yes(key.enabled)]),
        ),
        AccessAnswer::Policy(policy) => format!("{} attached to {}", policy.name, holder(&policy.holder)),
        AccessAnswer::Policies(policies) if policies.is_empty() => none("policies"),
        AccessAnswer::Policies(policies) => columns(
            &["NAME", "DOCUMENT"],
            policies.iter().map(|policy| vec![policy.name.clone(), policy.document.to_string()]),
        ),
        AccessAnswer::Role(role) => role.arn.clone(),
        AccessAnswer::Roles(roles) if roles.is_empty() => {
            none("roles; add one with `ashlar role add NAME --trust FILE`")
        }
        AccessAnswer::Roles(roles) => columns(
            &["ROLE", "LONGEST", "ARN"],
            roles.iter().map(|role| {
                vec![role.role_id.to_string(), format!("{}s", role.max_session_seconds), role.arn.clone()]
            }),
        ),
        AccessAnswer::Device(device) => format!(
            "Secret  {}\nURI     {}\nSerial  {}\nThe secret is shown this once: put it into an authenticator now.",
            device.secret, device.uri, device.serial_number
        ),
        AccessAnswer::Network(rule) => format!("{} {}", rule.effect, rule.network),
        AccessAnswer::Networks(rules) if rules.is_empty() => none("rules: calls may come from anywhere"),
        AccessAnswer::Networks(rules) => columns(
            &["EFFECT", "NETWORK"],
            rules.iter().map(|rule| vec![rule.effect.clone(), rule.network.clone()]),
        ),
        AccessAnswer::Done(done) => format!("{} {}", done.name, done.done),
    }
}

fn yes(value: bool) -> String {
    if value { "yes" } else { "no" }.to_owned()
}

fn holder(holder: &HolderName) -> String {
    match holder {
        HolderName::User(name) => format!("the user {name}"),
        HolderName::Role(name) => format!("the role {name}"),
    }
}

/// Rows under their heads; the last column is as wide as it likes.
fn columns(heads: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let heads = heads.iter().map(|head| (*head).to_owned()).collect();
    let rows: Vec<Vec<String>> = std::iter::once(heads).chain(rows).collect();
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(String::len).max().unwrap_or(0);
    let line = |row: &Vec<String>| {
        let cells = row.iter().enumerate().map(|(column, cell)| match column + 1 == row.len() {
            true => cell.clone(),
            false => format!("{cell:<width$}", width = width(column)),
        });
        cells.collect::<Vec<_>>().join("  ")
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [vec!["1".to_owned(), "a".to_owned()], vec!["1000".to_owned(), "b".to_owned()]];
        assert_eq!(columns(&["N", "NAME"], rows.into_iter()), "N     NAME\n1     a\n1000  b");
    }
}
