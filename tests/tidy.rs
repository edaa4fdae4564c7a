//! The laws of the source, checked: arrows between crates, sizes of files, chapters, and where SQL may stand.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const LINES_MAX: usize = 500;

/// What each crate may depend on inside the house.
const ARROWS: [(&str, &[&str]); 6] = [
    (".", &["checker", "database", "node", "schedules", "syncer"]),
    ("syncer", &["checker", "database"]),
    ("checker", &["database"]),
    ("node", &["database"]),
    ("database", &[]),
    ("schedules", &[]),
];

/// The crates and folders that may hold SQL: the drivers, the bundled node, the program's own SQLite file, and what plays
/// the part of an application.
const SQL_PLACES: [&str; 5] = ["database/", "node/", "src/state", "src/demo", "tests/"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file of the repository that is source and not built.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "target" && name != ".git" {
                files(&path, found);
            }
        } else {
            found.push(path);
        }
    }
}

fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    files(root(), &mut found);
    let named = |path: &PathBuf| path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
    let rust = found.iter().filter(|path| path.extension().is_some_and(|kind| kind == "rs"));
    let sources: Vec<_> = rust.map(|path| (named(path), std::fs::read_to_string(path).unwrap())).collect();
    assert!(sources.len() > 40, "the walk found only {} files", sources.len());
    sources
}

#[test]
fn the_arrows_between_crates_are_those_of_the_design() {
    let house: Vec<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    for (name, allowed) in ARROWS {
        let path = root().join(name).join("Cargo.toml");
        let manifest: toml::Table = std::fs::read_to_string(&path).unwrap().parse().unwrap();
        let needs = manifest.get("dependencies").and_then(toml::Value::as_table);
        for need in needs.into_iter().flat_map(toml::Table::keys) {
            if house.contains(&need.as_str()) {
                assert!(allowed.contains(&need.as_str()), "{name} must not depend on {need}");
            }
        }
    }
}

#[test]
fn no_file_is_too_long_to_read() {
    let long: Vec<String> = sources()
        .iter()
        .map(|(name, text)| (text.lines().count(), name))
        .filter(|(lines, _)| *lines > LINES_MAX)
        .map(|(lines, name)| format!("{name}: {lines}"))
        .collect();
    assert!(long.is_empty(), "more than {LINES_MAX} lines: {long:?}");
}

#[test]
fn every_file_opens_with_a_chapter() {
    let sources = sources();
    // the unit tests of a module belong to its chapter
    let own = sources.iter().filter(|(name, _)| !name.ends_with("/tests.rs"));
    let bare: Vec<&String> =
        own.filter(|(_, text)| !text.starts_with("//! ")).map(|(name, _)| name).collect();
    assert!(bare.is_empty(), "no //! at the head of {bare:?}");
}

#[test]
fn names_say_what_they_hold() {
    for (name, _) in sources() {
        let stem = Path::new(&name).file_stem().unwrap().to_string_lossy().into_owned();
        for vague in ["util", "utils", "helper", "helpers", "manager", "common", "core"] {
            assert_ne!(stem, vague, "{name}");
        }
    }
}

#[test]
fn sql_stands_only_where_databases_are_spoken_to() {
    let mut found = BTreeMap::new();
    for (name, text) in sources() {
        if SQL_PLACES.iter().any(|place| name.starts_with(place)) || name.contains("/tests/") {
            continue;
        }
        for (n, line) in text.lines().enumerate() {
            let code = line.trim_start();
            let words =
                ["\"SELECT ", "\"INSERT INTO ", "\"UPDATE ", "\"DELETE FROM ", "\"SHOW ", "\"CREATE TABLE "];
            if !code.starts_with("//") && words.iter().any(|word| code.contains(word)) {
                found.insert(format!("{name}:{}", n + 1), code.to_owned());
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn no_script_is_forgotten() {
    let mut found = Vec::new();
    files(root(), &mut found);
    let text_of = |path: &PathBuf| std::fs::read_to_string(path).unwrap_or_default();
    for script in
        found.iter().filter(|path| path.extension().is_some_and(|kind| kind == "sh" || kind == "py"))
    {
        let name = script.file_name().unwrap().to_string_lossy().into_owned();
        let mentioned = found.iter().any(|other| other != script && text_of(other).contains(&name));
        assert!(mentioned, "nothing mentions {}", script.display());
    }
}
