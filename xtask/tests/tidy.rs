//! The rules of the house that a compiler cannot check.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, MetadataCommand, Package};
use xtask::{files, root};

/// Longest file without its tests.
const FILE_LINES_MAX: usize = 700;

/// Which of our crates may import which (ARCHITECTURE.md, "Who may import whom").
const IMPORTS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("proto", &[]),
    ("media", &[]),
    ("script", &["domain"]),
    ("facade", &["domain"]),
    ("store", &["domain"]),
    ("sim", &["domain"]),
    ("engine", &["domain", "facade", "media", "proto", "script", "store"]),
    ("api", &["domain", "engine", "facade", "store"]),
    ("outdial", &["api", "domain", "engine", "facade", "media", "proto", "script", "store"]),
];

/// Crates of others that only some of ours may have.
const DOORS: &[(&str, &[&str])] = &[
    ("tokio", &["api", "engine", "outdial", "store"]),
    ("rusqlite", &["store"]),
    ("tokio-postgres", &["store"]),
    ("rlibphonenumber", &["domain"]),
    ("rquickjs", &["script"]),
    ("axum", &["api", "outdial"]),
    ("serde", &["api", "facade", "outdial", "script"]),
    ("socket2", &["engine", "outdial"]),
    ("hyper", &["engine", "outdial"]),
];

/// Vendors' words, and where they may stand.
const VENDORS: &[&str] = &["plum", "fuse", "aculab", "portaswitch", "efswitch", "expertflow"];

/// Licences that Outdial can be shipped with; deny.toml has the same list.
const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

fn packages() -> Vec<Package> {
    let mut command = MetadataCommand::new();
    command.manifest_path(root().join("Cargo.toml"));
    // What other platforms need is not downloaded by a build.
    let options = ["--locked", "--filter-platform", "x86_64-unknown-linux-gnu"];
    command.other_options(options.map(str::to_owned));
    command.exec().expect("cargo describes the workspace").packages
}

fn is_ours(package: &Package) -> bool {
    package.source.is_none()
}

fn short(name: &str) -> &str {
    name.strip_prefix("outdial-").unwrap_or(name)
}

fn imports(package: &Package) -> BTreeSet<String> {
    let normal = package.dependencies.iter().filter(|d| d.kind == DependencyKind::Normal);
    normal.map(|dependency| short(&dependency.name).to_owned()).collect()
}

fn assert_none(broken: Vec<String>, rule: &str) {
    assert!(broken.is_empty(), "{rule}:\n{}", broken.join("\n"));
}

#[test]
fn crates_import_only_what_the_table_allows() {
    let packages = packages();
    let ours: BTreeMap<&str, BTreeSet<String>> =
        packages.iter().filter(|p| is_ours(p)).map(|p| (short(&p.name), imports(p))).collect();
    let mut broken = Vec::new();
    for (name, allowed) in IMPORTS {
        let imported = ours.get(name).unwrap_or_else(|| panic!("crate {name} is missing"));
        for other in ours.keys().filter(|other| imported.contains(**other)) {
            if !allowed.contains(other) {
                broken.push(format!("{name} imports {other}"));
            }
        }
    }
    assert_none(broken, "an arrow that the house does not have");
}

#[test]
fn doors_to_the_world_are_where_the_house_has_them() {
    let mut broken = Vec::new();
    for package in packages().iter().filter(|package| is_ours(package)) {
        let imported = imports(package);
        for (door, owners) in DOORS {
            if imported.contains(*door) && !owners.contains(&short(&package.name)) {
                broken.push(format!("{} imports {door}", package.name));
            }
        }
    }
    assert_none(broken, "a crate has a door that it may not have");
}

#[test]
fn dependencies_have_licences_that_can_be_shipped() {
    let mut broken = Vec::new();
    for package in packages().iter().filter(|package| !is_ours(package)) {
        let licence = package.license.clone().unwrap_or_default().replace('/', " OR ");
        // Each part of an AND must offer something allowed; exceptions only widen what is allowed.
        let allowed = licence.split(" AND ").all(|part| {
            part.split(" OR ").any(|one| {
                let name = one.trim().trim_matches(['(', ')']);
                LICENCES.contains(&name.split(" WITH ").next().unwrap_or(name))
            })
        });
        if !allowed {
            broken.push(format!("{} {}: {licence:?}", package.name, package.version));
        }
    }
    assert_none(broken, "a dependency's licence is not permissive");
}

#[test]
fn every_file_opens_by_saying_its_job() {
    let broken = files(&[".rs"])
        .into_iter()
        .filter(|file| !file.text.starts_with("//! "))
        .map(|file| file.path)
        .collect();
    assert_none(broken, "no `//!` in the first line");
}

#[test]
fn files_can_be_held_in_the_head() {
    let broken = files(&[".rs"])
        .iter()
        .filter(|file| !file.is_test() && file.code_lines() > FILE_LINES_MAX)
        .map(|file| format!("{}: {} lines", file.path, file.code_lines()))
        .collect();
    assert_none(broken, "a crowded room: move a wall");
}

#[test]
fn vendors_words_stay_at_the_door() {
    let may = |path: &str| {
        path.starts_with("crates/facade/")
            || path.starts_with("crates/api/")
            || path.starts_with("xtask/")
            || path.contains("/tests/")
            || path.contains("/demo/")
    };
    let mut broken = Vec::new();
    for file in files(&[".rs"]).iter().filter(|file| !may(&file.path) && !file.is_test()) {
        let code = file.text.lines().take(file.code_lines()).enumerate();
        for (nth, line) in code.filter(|(_, line)| !line.trim_start().starts_with("//")) {
            let words = line.to_ascii_lowercase();
            let mut words = words.split(|sign: char| !sign.is_ascii_alphabetic());
            if words.any(|word| VENDORS.contains(&word)) {
                broken.push(format!("{}:{}: {}", file.path, nth + 1, line.trim()));
            }
        }
    }
    assert_none(broken, "a vendor's word outside its facade");
}

#[test]
fn nothing_is_left_unfinished_or_switched_off() {
    let marks = ["todo!(", "unimplemented!(", "FIX\u{4d}E", "XX\u{58}", "#[ign\u{6f}re"];
    let mut broken = Vec::new();
    for file in files(&[".rs", ".sh", ".js"]).iter().filter(|file| !file.path.starts_with("xtask/"))
    {
        for (nth, line) in file.text.lines().enumerate() {
            if marks.iter().any(|mark| line.contains(mark)) {
                broken.push(format!("{}:{}: {}", file.path, nth + 1, line.trim()));
            }
        }
    }
    assert_none(broken, "unfinished");
}

#[test]
fn migrations_come_in_pairs() {
    let names = |database: &str| -> BTreeSet<String> {
        let prefix = format!("crates/store/migrations/{database}/");
        let all = files(&[".sql"]);
        all.iter().filter_map(|file| file.path.strip_prefix(&prefix)).map(Into::into).collect()
    };
    let sqlite = names("sqlite");
    assert!(!sqlite.is_empty(), "there are no migrations");
    assert_eq!(sqlite, names("postgres"));
}

#[test]
fn every_route_is_in_the_documents() {
    let router = std::fs::read_to_string(root().join("crates/api/src/router.rs")).unwrap();
    let documents: String = files(&[".md"])
        .iter()
        .filter(|file| file.path.starts_with("docs/api/"))
        .map(|file| file.text.as_str())
        .collect();
    // What begins with two slashes is the file's own first comment.
    let routes = router.split('"').filter(|text| text.starts_with('/') && !text.starts_with("//"));
    let broken = routes.filter(|route| !documents.contains(*route)).map(Into::into).collect();
    assert_none(broken, "a route without a document in docs/api");
}

#[test]
fn documents_name_only_files_that_exist() {
    let mut broken = Vec::new();
    for file in files(&[".md"]) {
        let dir = root().join(&file.path);
        let dir = dir.parent().expect("a file lies in a directory");
        for link in file.text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            let is_local = !target.is_empty() && !target.contains("://") && !target.contains(' ');
            if is_local && !dir.join(target).exists() {
                broken.push(format!("{} links to {target}", file.path));
            }
        }
    }
    assert_none(broken, "a dead link");
}

/// Rows of the checklist: how many each document has.
const CHECKLIST: &[(u32, u32)] = &[(0, 81), (1, 54), (2, 21)];

/// The names in backticks of a text that are sentences, as those of tests are.
fn named_tests(text: &str) -> Vec<&str> {
    let quoted = text.split('`').skip(1).step_by(2);
    let is_sentence = |name: &&str| {
        let signs = |sign: char| sign.is_ascii_lowercase() || sign.is_ascii_digit() || sign == '_';
        name.chars().all(signs) && name.matches('_').count() >= 3
    };
    quoted.filter(is_sentence).collect()
}

#[test]
fn every_row_of_the_checklist_names_tests_that_exist_or_a_reason() {
    let checklist = std::fs::read_to_string(root().join("docs/checklist.md")).unwrap();
    let code: Vec<String> = files(&[".rs"]).into_iter().map(|file| file.text).collect();
    let functions: BTreeSet<&str> = code
        .iter()
        .flat_map(|text| text.split("fn ").skip(1))
        .filter_map(|rest| rest.split(|sign: char| !sign.is_alphanumeric() && sign != '_').next())
        .collect();
    let mut broken = Vec::new();
    for (document, rows) in CHECKLIST {
        for row in 1..=*rows {
            let begin = format!("| {document}-{row:03} |");
            let mut found = checklist.lines().filter(|line| line.starts_with(&begin));
            let (Some(line), None) = (found.next(), found.next()) else {
                broken.push(format!("{document}-{row:03} does not stand there once"));
                continue;
            };
            let shown_by = line.trim_end_matches('|').rsplit('|').next().unwrap_or_default();
            let tests = named_tests(shown_by);
            if tests.is_empty() && !shown_by.trim().starts_with("not shown: ") {
                broken.push(format!("{document}-{row:03} names neither a test nor a reason"));
            }
            let missing = tests.iter().filter(|test| !functions.contains(*test));
            broken.extend(missing.map(|test| format!("{document}-{row:03}: no test {test}")));
        }
    }
    assert_none(broken, "the checklist says what is not so");
}
