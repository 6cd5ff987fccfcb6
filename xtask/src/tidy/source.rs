//! Rules about Rust source files.

use super::rust_source::{PieceKind, newlines, pieces};
use super::{Finding, SourceFile, Tree};

/// Longer files have more than one subject.
const FILE_LINES_MAX: usize = 600;

/// Files or folders where `unsafe` may stand, and where the workspace's ban on it may be lifted.
const UNSAFE_ROOMS: &[&str] = &[
    "crates/engine/src/file/ring.rs",
    "crates/engine/src/file/read_ring.rs",
    "crates/engine/src/cipher/wide.rs",
    "crates/server/src/memory.rs",
];

/// The one folder with SQL, and the driver's own list of how statements begin.
const SQL_ROOM: &str = "crates/db/";
const SQL_BEGINNINGS: &[&[&str]] = &[
    &["SELECT", "*"],
    &["INSERT", "INTO"],
    &["INSERT", "OR"],
    &["UPDATE", "*", "SET"],
    &["DELETE", "FROM"],
    &["CREATE", "TABLE"],
    &["CREATE", "INDEX"],
    &["ALTER", "TABLE"],
    &["DROP", "TABLE"],
    &["PRAGMA", "*"],
];

/// Calls that read the wall clock.
const WALL_CLOCK_CALLS: &[&str] =
    &["SystemTime::now", "UNIX_EPOCH.elapsed", "Timestamp::now", "Zoned::now", "Utc::now", "Local::now"];
const WALL_CLOCK_ROOMS: &[&str] = &["crates/server/src/clock.rs"];

/// Where `clippy.toml`'s banned methods may be called: the edge of the process, measurements, tests.
const BAN_LIFTED_ROOMS: &[&str] = &[
    "crates/server/",
    "xtask/",
    "crates/control/examples/",
    "crates/engine/examples/",
    "crates/nbd/examples/",
    "crates/sim/src/main.rs",
];

fn stands_in(path: &str, rooms: &[&str]) -> bool {
    rooms.iter().any(|room| path == *room || (room.ends_with('/') && path.starts_with(room)))
}

pub(super) fn file_length(tree: &Tree) -> Vec<Finding> {
    let too_long = |file: &&SourceFile| !file.is_test() && file.text.lines().count() > FILE_LINES_MAX;
    tree.files
        .iter()
        .filter(|file| file.is_rust() || file.path.ends_with(".py"))
        .filter(too_long)
        .map(|file| {
            let lines = file.text.lines().count();
            Finding::new(&file.path, 0, format!("{lines} lines; split it below {FILE_LINES_MAX}"))
        })
        .collect()
}

pub(super) fn module_comment(tree: &Tree) -> Vec<Finding> {
    // `foo/tests.rs` is named after what it is for.
    tree.rust_files()
        .filter(|file| !file.path.ends_with("/tests.rs"))
        .filter(|file| !file.text.trim_start().starts_with("//!"))
        .map(|file| Finding::new(&file.path, 1, "begin with a `//!` line that says what the file is for"))
        .collect()
}

/// Findings at each place of `word` as a whole word in code, in the files that `wanted` chooses.
fn words_in_code(
    tree: &Tree,
    word: &str,
    message: &str,
    wanted: impl Fn(&SourceFile) -> bool,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust_files().filter(|file| wanted(file)) {
        for piece in pieces(&file.text).into_iter().filter(|piece| piece.kind == PieceKind::Code) {
            findings.extend(piece.lines_with_word(word).map(|line| Finding::new(&file.path, line, message)));
        }
    }
    findings
}

pub(super) fn unsafe_rooms(tree: &Tree) -> Vec<Finding> {
    words_in_code(tree, "unsafe", "`unsafe` outside its rooms", |file| !stands_in(&file.path, UNSAFE_ROOMS))
}

pub(super) fn wall_clock(tree: &Tree) -> Vec<Finding> {
    WALL_CLOCK_CALLS
        .iter()
        .flat_map(|call| {
            let message = format!("`{call}` reads the wall clock: take a Clock");
            words_in_code(tree, call, &message, |file| {
                !file.is_test() && !stands_in(&file.path, WALL_CLOCK_ROOMS)
            })
        })
        .collect()
}

pub(super) fn clock_ban_lifted(tree: &Tree) -> Vec<Finding> {
    words_in_code(tree, "disallowed_methods", "this ban may not be lifted here", |file| {
        !file.is_test() && !stands_in(&file.path, BAN_LIFTED_ROOMS)
    })
}

pub(super) fn ignored_tests(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust_files() {
        for piece in pieces(&file.text).into_iter().filter(|piece| piece.kind == PieceKind::Code) {
            findings.extend(piece.text.match_indices("#[ignore").map(|(at, _)| {
                Finding::new(
                    &file.path,
                    piece.line + newlines(&piece.text[..at]),
                    "run this test or remove it",
                )
            }));
        }
    }
    findings
}

pub(super) fn sql_rooms(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust_files().filter(|file| !file.path.starts_with(SQL_ROOM)) {
        for piece in pieces(&file.text) {
            if piece.kind == PieceKind::Literal && begins_like_sql(piece.text) {
                findings.push(Finding::new(&file.path, piece.line, "SQL outside crates/db"));
            }
        }
    }
    findings
}

fn begins_like_sql(literal: &str) -> bool {
    SQL_BEGINNINGS.iter().any(|beginning| {
        let mut words = literal.split_whitespace();
        beginning.iter().all(|wanted| words.next().is_some_and(|word| *wanted == "*" || word == *wanted))
    })
}
