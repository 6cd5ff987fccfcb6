//! Each rule fails on a small made-up tree, and holds on the same tree once mended.

use serde_json::json;

use super::rust_source::{PieceKind, pieces};
use super::*;

fn tree(files: &[(&str, &str)]) -> Tree {
    let file =
        |(path, text): &(&str, &str)| SourceFile { path: (*path).to_owned(), text: (*text).to_owned() };
    Tree { files: files.iter().map(file).collect(), metadata: json!({}) }
}

fn metadata(packages: &[(&str, &[&str])]) -> Tree {
    let package = |(name, dependencies): &(&str, &[&str])| {
        let dependencies: Vec<Value> = dependencies.iter().map(|name| json!({"name": name})).collect();
        let manifest = format!("{name}/Cargo.toml");
        json!({"id": name, "name": name, "manifest_path": manifest, "dependencies": dependencies})
    };
    let packages: Vec<Value> = packages.iter().map(package).collect();
    let ids: Vec<&Value> = packages.iter().map(|package| &package["id"]).collect();
    Tree { files: Vec::new(), metadata: json!({"workspace_members": ids, "packages": packages}) }
}

/// The lines that a rule complains about.
fn lines(rule: &str, tree: &Tree) -> Vec<usize> {
    let rule = RULES.iter().find(|known| known.name == rule).unwrap();
    (rule.check)(tree).iter().map(|finding| finding.line).collect()
}

fn text(rule: &str, tree: &Tree) -> String {
    let rule = RULES.iter().find(|known| known.name == rule).unwrap();
    (rule.check)(tree).iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn dependency_edges() {
    let upward = metadata(&[("ashlar-types", &["ashlar-db"]), ("ashlar-db", &["ashlar-types", "sqlx"])]);
    assert_eq!(
        text("dependency-edges", &upward),
        "ashlar-types/Cargo.toml: `ashlar-types` may not depend on `ashlar-db`"
    );
    let downward = metadata(&[("ashlar-types", &[]), ("ashlar-db", &["ashlar-types", "sqlx"])]);
    assert_eq!(text("dependency-edges", &downward), "");
    assert!(text("dependency-edges", &metadata(&[("ashlar-new", &[])])).contains("not in the table"));
}

#[test]
fn external_rooms() {
    let wrong = metadata(&[("ashlar-control", &["sqlx"]), ("ashlar-db", &["sqlx"])]);
    assert_eq!(
        text("external-rooms", &wrong),
        "ashlar-control/Cargo.toml: `sqlx` has no place in `ashlar-control`"
    );
}

#[test]
fn crate_names() {
    let wrong = metadata(&[("ashlar-utils", &[]), ("ashlar-common", &[]), ("ashlar-engine", &[])]);
    assert_eq!(lines("crate-names", &wrong), [0, 0]);
}

#[test]
fn workspace_lints() {
    let wrong = tree(&[
        ("a/Cargo.toml", "[package]\nname = \"a\"\n"),
        ("b/Cargo.toml", "[lints]\nworkspace = false\n"),
        ("c/Cargo.toml", "[lints]\nworkspace = true\n"),
        ("Cargo.toml", "[workspace]\n"),
    ]);
    assert_eq!(lines("workspace-lints", &wrong), [0, 0]);
}

#[test]
fn licences() {
    let with = |licence: Value| Tree {
        metadata: json!({"packages": [{"name": "some", "license": licence}]}),
        ..tree(&[(
            "deny.toml",
            "[licenses]\nallow = [\"MIT\", \"Apache-2.0\", \"Apache-2.0 WITH LLVM-exception\"]\n",
        )])
    };
    for allowed in [
        "MIT",
        "GPL-3.0 OR MIT",
        "MIT/Apache-2.0",
        "(GPL-3.0 OR MIT) AND Apache-2.0",
        "Apache-2.0 WITH LLVM-exception",
    ] {
        assert_eq!(text("licences", &with(json!(allowed))), "", "{allowed}");
    }
    for refused in
        ["GPL-3.0", "GPL-3.0 AND MIT", "MIT AND (GPL-3.0)", "MIT WITH LLVM-exception", "MIT MIT", "(MIT"]
    {
        assert_eq!(
            text("licences", &with(json!(refused))),
            format!("deny.toml: `some` is under `{refused}`")
        );
    }
    assert!(text("licences", &with(Value::Null)).contains("states no licence"));
    assert!(text("licences", &tree(&[])).contains("no list"), "without the list nothing is allowed");
}

#[test]
fn file_length() {
    let long = "//! A file.\n".repeat(601);
    let files =
        tree(&[("a/src/b.rs", &long), ("a/src/b/tests.rs", &long), ("a/tests/c.rs", &long), ("d.md", &long)]);
    assert_eq!(text("file-length", &files), "a/src/b.rs: 601 lines; split it below 600");
}

#[test]
fn module_comment() {
    let without = "// Not a module comment.\n";
    let files =
        tree(&[("a.rs", without), ("b.rs", "//! One.\n"), ("b/tests.rs", without), ("c.py", without)]);
    assert_eq!(text("module-comment", &files).lines().count(), 1);
}

#[test]
fn unsafe_rooms() {
    let source = "//! No unsafe code.\n#![forbid(unsafe_code)]\nlet text = \"unsafe\";\nunsafe { f() }\n";
    assert_eq!(lines("unsafe-rooms", &tree(&[("a.rs", source)])), [4]);
}

#[test]
fn sql_rooms() {
    let source = "a(\"DELETE / HTTP/1.1\");\n// SELECT it\nb(\"\n  SELECT id FROM disks\");\nc(r#\"UPDATE disks SET x = 1\"#);\n";
    let files = tree(&[("crates/control/src/a.rs", source), ("crates/db/src/a.rs", source)]);
    assert_eq!(lines("sql-rooms", &files), [3, 5]);
}

#[test]
fn wall_clock() {
    let source = "fn f() {\n  let now = std::time::SystemTime::now();\n  let t = Zoned::now();\n}\n// SystemTime::now\n";
    let files = tree(&[("crates/control/src/a.rs", source), ("crates/server/src/clock.rs", source)]);
    assert_eq!(lines("wall-clock", &files), [2, 3]);
}

#[test]
fn clock_ban_lifted() {
    let source = "#[allow(clippy::disallowed_methods, reason = \"none\")]\n";
    let files = tree(&[("crates/control/src/a.rs", source), ("crates/server/src/config.rs", source)]);
    assert_eq!(lines("clock-ban-lifted", &files), [1]);
}

#[test]
fn ignored_tests() {
    let source = "#[test]\n#[ignore = \"slow\"]\nfn a() {}\n// #[ignore]\nlet x = \"#[ignore]\";\n";
    assert_eq!(lines("ignored-tests", &tree(&[("a.rs", source)])), [2]);
}

#[test]
fn deferred_work() {
    let mark = concat!("TO", "DO");
    let source = format!("//! A file.\n// {mark}: later\n// {mark}_LIST is a name\n");
    assert_eq!(lines("deferred-work", &tree(&[("a.rs", &source), ("b.md", mark)])), [2, 1]);
}

#[test]
fn machine_paths() {
    let [work, root] = [concat!("/", "work"), concat!("/", "root")];
    let source = format!("see {work}/a\n{work}space is fine, a{work} too\n`{root}`\nhttp://h{root}\n");
    assert_eq!(lines("machine-paths", &tree(&[("a.md", &source)])), [1, 3]);
}

#[test]
fn registry_hosts() {
    let host = concat!("registry.", "npmjs");
    let source = format!("name\nhttps://{host}.org/x\n");
    let default = concat!("source = \"registry+https://github.com/", "rust-lang/crates.io-index\"\n");
    let lock = format!("{default}source = \"git+https://example.com/x\"\n");
    let files = tree(&[("tests/e2e/package-lock.json", &source), ("Cargo.lock", &lock)]);
    assert_eq!(lines("registry-hosts", &files), [2, 2]);
}

#[test]
fn links() {
    let document = "[a](b.md) [b](../c.md#a-heading) [c](https://example.com/none)\n\
                    [d](none.md)\n\
                    [e](../c.md#no-heading)\n\
                    ```\n[f](none.md)\n```\n\
                    [g](../../c.md) [h](#top)\n[i](../docs)\n";
    let files = tree(&[("docs/a.md", document), ("docs/b.md", ""), ("c.md", "# Title\n## A heading\n")]);
    assert_eq!(lines("links", &files), [2, 3, 7, 7]);
}

#[test]
fn changelog() {
    assert_eq!(lines("changelog", &tree(&[("CHANGELOG.md", "# Changes\n\n## 0.1.0\n")])), [0]);
    assert_eq!(lines("changelog", &tree(&[])), [0]);
    assert!(lines("changelog", &tree(&[("CHANGELOG.md", "# Changes\n\n## Unreleased\n")])).is_empty());
}

#[test]
fn every_rule_has_a_test_of_its_name() {
    let tests = include_str!("tests.rs");
    for rule in RULES {
        let test = format!("fn {}()", rule.name.replace('-', "_"));
        assert!(tests.contains(&test), "no test `{test}`");
    }
}

#[test]
fn rust_source_is_split_where_the_language_splits_it() {
    let source = "let a = \"x\\\"y\"; // c1\nlet b = r#\"q\"w\"#; /* n /* m */ o */ 'l: '\"' b\"z\" r'\\''\n\"two\nlines\" end";
    let literals: Vec<_> = pieces(source)
        .into_iter()
        .filter(|piece| piece.kind == PieceKind::Literal)
        .map(|piece| (piece.text, piece.line))
        .collect();
    assert_eq!(literals, [("x\\\"y", 1), ("q\"w", 2), ("z", 2), ("two\nlines", 3)]);
    let comments: Vec<_> = pieces(source)
        .into_iter()
        .filter(|piece| piece.kind == PieceKind::Comment)
        .map(|piece| piece.text)
        .collect();
    assert_eq!(comments, ["// c1", "/* n /* m */ o */"]);
    assert_eq!(pieces(source).last().map(|piece| (piece.text, piece.line)), Some(("\" end", 4)));
}
