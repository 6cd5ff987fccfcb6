//! The rules of the house that compilers do not know.
//!
//! A rule is a name, the reason for it and a pure function from the tree to findings; what a rule allows is
//! data beside it. `tidy/tests.rs` shows each rule failing on a small made-up tree.

mod layering;
mod licence;
mod links;
mod manifest;
mod rust_source;
mod source;
mod words;

#[cfg(test)]
mod tests;

use std::fmt;

use serde_json::Value;

use crate::error::{ErrorKind, Result, XtaskError};
use crate::workspace::Workspace;

/// A text file of the repository.
#[derive(Debug)]
struct SourceFile {
    /// Relative to the root, with `/`.
    path: String,
    text: String,
}

impl SourceFile {
    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Files that hold nothing but tests; the length limit and a few bans do not hold there.
    fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.split('/').any(|part| part == "tests")
    }
}

/// Everything that the rules look at.
#[derive(Debug)]
struct Tree {
    files: Vec<SourceFile>,
    /// `cargo metadata`.
    metadata: Value,
}

impl Tree {
    fn read(workspace: &Workspace) -> Result<Self> {
        let mut files = Vec::new();
        for path in workspace.files()? {
            // What is not UTF-8 is no text and has no rules.
            if let Ok(text) = std::fs::read_to_string(workspace.root().join(&path)) {
                files.push(SourceFile { path, text });
            }
        }
        Ok(Self { files, metadata: workspace.metadata()? })
    }

    fn file(&self, path: &str) -> Option<&SourceFile> {
        self.files.iter().find(|file| file.path == path)
    }

    fn rust_files(&self) -> impl Iterator<Item = &SourceFile> {
        self.files.iter().filter(|file| file.is_rust())
    }
}

/// One place where a rule is broken.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    path: String,
    /// From 1; 0 when the file as a whole is meant.
    line: usize,
    message: String,
}

impl Finding {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.message),
            line => write!(f, "{}:{line}: {}", self.path, self.message),
        }
    }
}

struct Rule {
    name: &'static str,
    why: &'static str,
    check: fn(&Tree) -> Vec<Finding>,
}

const RULES: &[Rule] = &[
    Rule {
        name: "dependency-edges",
        why: "a crate knows only the layers that ARCHITECTURE.md lets it know",
        check: layering::edges,
    },
    Rule {
        name: "external-rooms",
        why: "one crate alone speaks SQL, HTTP or the embedded store, so that it can be exchanged",
        check: layering::external_rooms,
    },
    Rule {
        name: "crate-names",
        why: "a crate named after nothing becomes a crate that holds everything",
        check: layering::names,
    },
    Rule {
        name: "workspace-lints",
        why: "every crate is held to the same lints",
        check: manifest::workspace_lints,
    },
    Rule { name: "licences", why: "whoever ships the binary may ship all of it", check: licence::licences },
    Rule {
        name: "file-length",
        why: "a file has one subject and can be read in one sitting",
        check: source::file_length,
    },
    Rule {
        name: "module-comment",
        why: "the first line of a file says what it is for",
        check: source::module_comment,
    },
    Rule { name: "unsafe-rooms", why: "memory safety is argued in few places", check: source::unsafe_rooms },
    Rule { name: "sql-rooms", why: "all SQL lives in crates/db", check: source::sql_rooms },
    Rule {
        name: "wall-clock",
        why: "logic takes a Clock; only the server reads the system's",
        check: source::wall_clock,
    },
    Rule {
        name: "clock-ban-lifted",
        why: "the clippy ban on clocks, sleeps and environment variables is lifted in named rooms only",
        check: source::clock_ban_lifted,
    },
    Rule {
        name: "ignored-tests",
        why: "a test that does not run proves nothing",
        check: source::ignored_tests,
    },
    Rule {
        name: "deferred-work",
        why: "work left over is an issue, not a comment",
        check: words::deferred_work,
    },
    Rule { name: "machine-paths", why: "the repository works on any machine", check: words::machine_paths },
    Rule {
        name: "registry-hosts",
        why: "where packages come from is the machine's setting, not the repository's",
        check: words::registry_hosts,
    },
    Rule { name: "links", why: "a document's links lead somewhere", check: links::links },
    Rule { name: "changelog", why: "the next release's changes have their place", check: links::changelog },
];

/// Checks all rules and prints what is broken.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    if let Some(argument) = arguments.first() {
        return Err(XtaskError::new(ErrorKind::Usage, format!("tidy takes no `{argument}`")));
    }
    let tree = Tree::read(workspace)?;
    let mut count = 0;
    for rule in RULES {
        let findings = (rule.check)(&tree);
        if !findings.is_empty() {
            println!("{}: {}", rule.name, rule.why);
        }
        for finding in &findings {
            println!("  {finding}");
        }
        count += findings.len();
    }
    if count == 0 {
        println!("tidy: {} rules hold in {} files", RULES.len(), tree.files.len());
        Ok(())
    } else {
        Err(XtaskError::new(ErrorKind::Failed, format!("tidy: {count} findings")))
    }
}
