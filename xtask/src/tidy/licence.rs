//! The licences of everything that is linked in. The list of those allowed has one home: `deny.toml`.

use super::{Finding, Tree};

const LIST: &str = "deny.toml";

pub(super) fn licences(tree: &Tree) -> Vec<Finding> {
    let Some(allowed) = tree.file(LIST).and_then(|file| allowed_licences(&file.text)) else {
        return vec![Finding::new(LIST, 0, "no list `allow` in `[licenses]`")];
    };
    let packages = tree.metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    packages
        .iter()
        .filter_map(|package| {
            let name = package["name"].as_str().unwrap_or_default();
            let Some(expression) = package["license"].as_str() else {
                return Some(Finding::new(LIST, 0, format!("`{name}` states no licence")));
            };
            (!satisfied(expression, &allowed))
                .then(|| Finding::new(LIST, 0, format!("`{name}` is under `{expression}`")))
        })
        .collect()
}

fn allowed_licences(text: &str) -> Option<Vec<String>> {
    let table: toml::Table = text.parse().ok()?;
    let allow = table.get("licenses")?.get("allow")?.as_array()?;
    Some(allow.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect())
}

/// Whether an SPDX expression can be met with the allowed licences: `OR` needs one side, `AND` both.
/// Old crates write `/` for `OR`. A licence `WITH` an exception is a name of its own.
fn satisfied(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut reader = Reader { words: &words, at: 0, allowed };
    let met = reader.any();
    met && reader.at == words.len()
}

struct Reader<'a> {
    words: &'a [&'a str],
    at: usize,
    allowed: &'a [String],
}

impl Reader<'_> {
    fn take(&mut self, word: &str) -> bool {
        let there = self.words.get(self.at) == Some(&word);
        self.at += usize::from(there);
        there
    }

    fn any(&mut self) -> bool {
        let mut met = self.all();
        while self.take("OR") {
            met |= self.all();
        }
        met
    }

    fn all(&mut self) -> bool {
        let mut met = self.one();
        while self.take("AND") {
            met &= self.one();
        }
        met
    }

    fn one(&mut self) -> bool {
        if self.take("(") {
            let met = self.any();
            return self.take(")") && met;
        }
        let Some(name) = self.words.get(self.at) else { return false };
        self.at += 1;
        let mut name = (*name).to_owned();
        if self.take("WITH") {
            name = format!("{name} WITH {}", self.words.get(self.at).unwrap_or(&""));
            self.at += 1;
        }
        self.allowed.contains(&name)
    }
}
