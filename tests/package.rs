//! What an installation brings: units, grants, and the Debian package, held to the program.
//!
//! The package itself is built and opened only by `tests/run --full`, since it takes a release build, and where `cargo-deb` is
//! installed; else that part is left out, with a word.

use crate::commands::{evensum, said};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The settings of a unit, by section and key; a key may be said more than once.
fn unit(path: &str) -> BTreeMap<(String, String), Vec<String>> {
    let mut settings: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    let mut section = String::new();
    let text = read(path);
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']').to_owned();
        } else {
            let (key, value) = line.split_once('=').unwrap_or_else(|| panic!("{path}: {line}"));
            settings.entry((section.clone(), key.to_owned())).or_default().push(value.to_owned());
        }
    }
    settings
}

/// A setting that is said once.
fn one<'a>(unit: &'a BTreeMap<(String, String), Vec<String>>, section: &str, key: &str) -> &'a str {
    match unit.get(&(section.to_owned(), key.to_owned())).map(Vec::as_slice) {
        Some([value]) => value,
        other => panic!("[{section}] {key} is {other:?}"),
    }
}

/// Seconds of a time as units write it.
fn seconds(text: &str) -> u64 {
    let (number, factor) = text.strip_suffix("min").map_or((text, 1), |number| (number, 60));
    number.parse::<u64>().unwrap() * factor
}

/// Sees that a command line of a unit is one that the program takes.
fn is_taken(line: &str) {
    let words: Vec<&str> = line.split(' ').collect();
    assert_eq!(words[0], "/usr/bin/evensum", "{line}");
    let commands: Vec<&str> = words[1..].iter().take_while(|word| !word.starts_with("--")).copied().collect();
    let folder = tempfile::tempdir().unwrap();
    let (code, help, err) = said(&evensum(folder.path(), &[&commands[..], &["--help"]].concat()));
    assert_eq!(code, 0, "{line}: {err}");
    for flag in words.iter().filter(|word| word.starts_with("--")) {
        assert!(
            help.contains(&format!("{flag} ")) || help.contains(&format!("{flag}\n")),
            "{line}: no {flag} in {help}"
        );
    }
}

#[test]
fn the_service_s_unit_says_what_the_program_does() {
    let unit = unit("share/systemd/evensum.service");
    let service = |key: &str| one(&unit, "Service", key);
    is_taken(service("ExecStart"));
    is_taken(service("ExecStartPre"));
    assert_eq!(service("Type"), "notify");
    assert_eq!(service("ExecReload"), "/bin/kill -HUP $MAINPID");
    assert_eq!(service("KillMode"), "mixed");
    // a run may take a minute to end, and nobody says that the service lives while it waits for that
    let stop = seconds(service("TimeoutStopSec"));
    assert!(stop > 60 && seconds(service("WatchdogSec")) > stop, "{stop}");
    assert_eq!(service("SuccessExitStatus"), "130 143");
    assert_eq!(service("StateDirectory"), "evensum");
    assert_eq!(service("Environment"), "EVENSUM_STATE=%S/evensum");
}

#[test]
fn units_are_restricted_alike_and_none_is_root_s() {
    let service = unit("share/systemd/evensum.service");
    let check = unit("share/systemd/evensum-check@.service");
    is_taken(&one(&check, "Service", "ExecStart").replace("%i", "shop"));
    for unit in [&service, &check] {
        for (key, value) in [
            ("User", "evensum"),
            ("NoNewPrivileges", "yes"),
            ("CapabilityBoundingSet", ""),
            ("ProtectSystem", "strict"),
            ("ProtectHome", "yes"),
            ("PrivateTmp", "yes"),
            ("MemoryDenyWriteExecute", "yes"),
            ("RestrictAddressFamilies", "AF_UNIX AF_INET AF_INET6"),
        ] {
            assert_eq!(one(unit, "Service", key), value, "{key}");
        }
    }
    let own = ["Environment", "ExecStart", "Type"];
    for (key, value) in check.iter().filter(|((section, _), _)| section == "Service") {
        if !own.contains(&key.1.as_str()) && !key.1.starts_with("Timeout") {
            assert_eq!(service.get(key), Some(value), "{key:?}");
        }
    }
    let timer = unit("share/systemd/evensum-check@.timer");
    assert_eq!(one(&timer, "Timer", "Persistent"), "yes");
    assert!(
        !timer.contains_key(&("Timer".to_owned(), "Unit".to_owned())),
        "it starts the service of its name"
    );
}

/// Rights and their scopes in GRANT lines, without the account.
fn rights(text: &str, account: &str) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for line in text.lines().filter(|line| line.contains(account)) {
        let Some((rights, rest)) = line.strip_prefix("GRANT ").and_then(|line| line.split_once(" ON "))
        else {
            continue;
        };
        let (scope, _) = rest.split_once(" TO ").unwrap();
        found.extend(rights.split(", ").map(|right| (right.to_owned(), scope.to_owned())));
    }
    found
}

#[test]
fn the_shipped_grants_are_those_of_the_documentation() {
    let readme = read("README.md");
    let (check, more) = readme.split_once("-- to mend, besides").unwrap();
    let check = rights(check, " TO …");
    let all: BTreeSet<_> = check.union(&rights(more, " TO …")).cloned().collect();
    assert!(check.len() >= 6 && all.len() > check.len(), "{all:?}");
    let mariadb = read("share/grants/mariadb.sql");
    assert_eq!(rights(&mariadb, "'evensum_check'"), check);
    assert_eq!(rights(&mariadb, "'evensum_repair'"), all);
    // the README says how MySQL calls what MariaDB calls otherwise
    let in_mysql = |rights: &BTreeSet<(String, String)>| -> BTreeSet<(String, String)> {
        let name = |right: &str| match right {
            "SLAVE MONITOR" | "BINLOG MONITOR" => "REPLICATION CLIENT".to_owned(),
            "BINLOG ADMIN" => "SESSION_VARIABLES_ADMIN".to_owned(),
            other => other.to_owned(),
        };
        rights.iter().map(|(right, scope)| (name(right), scope.clone())).collect()
    };
    let mysql = read("share/grants/mysql.sql");
    assert_eq!(rights(&mysql, "'evensum_check'"), in_mysql(&check));
    assert_eq!(rights(&mysql, "'evensum_repair'"), in_mysql(&all));
    for text in [mariadb, mysql] {
        let users: Vec<&str> = text.lines().filter(|line| line.starts_with("CREATE USER ")).collect();
        assert_eq!(users.len(), 2);
        assert!(
            users.iter().all(|line| line.contains(" REQUIRE SSL WITH MAX_USER_CONNECTIONS ")),
            "{users:?}"
        );
    }
}

/// What Cargo.toml says of the package.
fn package() -> toml::Table {
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    manifest["package"]["metadata"]["deb"].as_table().unwrap().clone()
}

#[test]
fn the_package_has_all_that_is_shipped_and_starts_nothing() {
    let deb = package();
    let mut packed = BTreeSet::new();
    for asset in deb["assets"].as_array().unwrap() {
        let part = |n: usize| asset[n].as_str().unwrap();
        let (source, target, mode) = (part(0), part(1), part(2));
        assert_eq!(
            mode,
            if target == "usr/bin/" {
                "755"
            } else if target.starts_with("etc/") {
                "640"
            } else {
                "644"
            }
        );
        // what is built does not lie here
        if source.starts_with("target/") {
            continue;
        }
        let (folder, name) = source.rsplit_once('/').unwrap_or((".", source));
        let (before, after) = name.split_once('*').unwrap_or((name, ""));
        let here = std::fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
        let fits = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if source.contains('*') {
                name.starts_with(before) && name.ends_with(after)
            } else {
                name == before
            }
        };
        let files: Vec<PathBuf> = here.filter(fits).collect();
        assert!(!files.is_empty(), "{source} is not there");
        packed.extend(files);
    }
    for units in deb["systemd-units"].as_array().unwrap() {
        let (folder, name) = (units["unit-scripts"].as_str().unwrap(), units["unit-name"].as_str().unwrap());
        packed.insert(root().join(format!("{folder}{name}.service")));
        assert_eq!((units["enable"].as_bool(), units["start"].as_bool()), (Some(false), Some(false)));
    }
    let mut shipped = Vec::new();
    for folder in ["share/systemd", "share/grants", "share/prometheus", "share/grafana", "docs"] {
        let entries = std::fs::read_dir(root().join(folder)).unwrap();
        shipped.extend(entries.map(|entry| entry.unwrap().path()));
    }
    let forgotten: Vec<&PathBuf> = shipped.iter().filter(|path| !packed.contains(*path)).collect();
    assert!(forgotten.is_empty(), "{forgotten:?}");
    for script in ["postinst", "postrm"] {
        assert!(read(&format!("debian/{script}")).contains("\n#DEBHELPER#\n"), "{script}");
    }
    let version = format!("evensum ({}-1) ", env!("CARGO_PKG_VERSION"));
    assert!(read("debian/changelog").starts_with(&version), "debian/changelog is not of {version}");
}

#[test]
fn the_package_is_built_and_has_what_it_should() {
    if std::env::var_os("EVENSUM_TEST_FULL").is_none() {
        return;
    }
    let there =
        Command::new("cargo-deb").arg("--version").output().is_ok_and(|output| output.status.success());
    if !there {
        eprintln!(
            "LEFT OUT: cargo-deb is not installed (cargo install cargo-deb --locked), so no package was built"
        );
        return;
    }
    let output = Command::new(root().join("share/package")).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    let file = out
        .lines()
        .map(str::trim)
        .rfind(|line| line.ends_with(".deb"))
        .unwrap_or_else(|| panic!("{out}{err}"));
    let look = |flag: &str| {
        let output = Command::new("dpkg-deb").args([flag, file]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let contents = look("--contents");
    for path in [
        "./usr/bin/evensum",
        "./etc/evensum/evensum.toml",
        "./usr/lib/systemd/system/evensum.service",
        "./usr/lib/systemd/system/evensum-check@.timer",
        "./usr/share/man/man1/evensum.1.gz",
        "./usr/share/man/man1/evensum-check.1.gz",
        "./usr/share/bash-completion/completions/evensum",
        "./usr/share/evensum/grants/mysql.sql",
        "./usr/share/evensum/prometheus/evensum.rules.yml",
        "./usr/share/evensum/grafana/evensum.json",
        "./usr/share/doc/evensum/service.md",
    ] {
        assert!(contents.lines().any(|line| line.ends_with(&format!(" {path}"))), "{path} in {contents}");
    }
    let config = contents.lines().find(|line| line.ends_with(" ./etc/evensum/evensum.toml")).unwrap();
    assert!(config.starts_with("-rw-r----- "), "{config}");
    // nothing is taken from this machine but what every system has
    let control = look("--field");
    assert!(control.contains("Depends: ") && control.contains("adduser"), "{control}");
}
