//! Every endpoint × who asks × our header × from which page × by which name × the method: refused where it should be, and a request
//! that is refused changed nothing.
//!
//! What is there is taken from the OpenAPI document, which a unit test holds against the table that the guard uses. The rule below is
//! written anew, so that a slip in the guard is no slip here.

use crate::cluster::Cluster;
use crate::served::{Ask, PASSWORD, Said, Served};
use serde_json::Value;
use std::collections::BTreeMap;

const DOCUMENT: &str = include_str!("../../src/serve/http/openapi.json");
/// The pages, and who may see them.
const PAGES: &[(&str, &str)] = &[
    ("/", "viewer"),
    ("/tables", "viewer"),
    ("/tables/{name}", "viewer"),
    ("/runs", "viewer"),
    ("/runs/{run}", "viewer"),
    ("/schedules", "viewer"),
    ("/alerts", "viewer"),
    ("/account", "viewer"),
    ("/audit", "admin"),
    ("/setup", ""),
    ("/assets/{file}", ""),
];
/// From the least to the most; the first is nobody.
const ROLES: [&str; 4] = ["", "viewer", "operator", "admin"];
const FOREIGN: &str = "evil.example";

/// What is at a path: which role each method needs.
type Methods = BTreeMap<String, String>;

fn endpoints() -> BTreeMap<String, Methods> {
    let document: Value = serde_json::from_str(DOCUMENT).unwrap();
    let mut all: BTreeMap<String, Methods> = BTreeMap::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let role = operation["x-evensum-role"].as_str().unwrap_or_default();
            all.entry(path.clone()).or_default().insert(method.to_uppercase(), role.to_owned());
        }
    }
    for (path, role) in PAGES {
        all.entry((*path).to_owned()).or_default().insert("GET".to_owned(), (*role).to_owned());
    }
    all
}

/// One combination.
#[derive(Debug)]
struct Case<'a> {
    path: &'a str,
    method: &'a str,
    role: usize,
    header: bool,
    /// Which headers a browser would send.
    from: usize,
    foreign_host: bool,
}

/// The values of `from`; 0 is a script, which says nothing.
const OWN_ORIGIN: usize = 1;
const FOREIGN_ORIGIN: usize = 2;
const CROSS_SITE: usize = 3;

/// The status that it must be refused with; none if it must be let in.
fn refusal(case: &Case<'_>, methods: &Methods) -> Option<u16> {
    let changes = case.method != "GET";
    if case.foreign_host {
        return Some(403);
    }
    let Some(needed) = methods.get(case.method) else { return Some(405) };
    let needed = ROLES.iter().position(|role| role == needed).unwrap();
    match () {
        () if changes && matches!(case.from, FOREIGN_ORIGIN | CROSS_SITE) => Some(403),
        () if needed > 0 && case.role == 0 => Some(401),
        () if changes && !case.header => Some(403),
        () if case.role < needed => Some(403),
        () => None,
    }
}

/// Things that are not there, so that what is let in does little.
fn concrete(path: &str) -> String {
    path.replace("{file}", "page.css").replace("{id}", "999999").replace(['{', '}'], "")
}

fn ask(served: &Served, case: &Case<'_>, tokens: &[String]) -> Ask {
    let mut ask = Ask::new(case.method, &concrete(case.path));
    if case.role > 0 {
        ask = ask.token(&tokens[case.role]);
    }
    if case.header {
        ask = ask.ours();
    }
    ask = match case.from {
        OWN_ORIGIN => {
            ask.header("Origin", &format!("http://{}", served.host())).header("Sec-Fetch-Site", "same-origin")
        }
        FOREIGN_ORIGIN => ask.header("Origin", &format!("https://{FOREIGN}")),
        CROSS_SITE => ask.header("Sec-Fetch-Site", "cross-site"),
        _ => ask,
    };
    if case.foreign_host {
        ask = ask.header("Host", FOREIGN);
    }
    // no endpoint takes it, so that what is let in does nothing
    if case.method == "GET" { ask } else { ask.body(b"{\"nothing\":1}") }
}

/// All rows that requests could change.
pub(super) fn kept(served: &Served) -> String {
    let file = rusqlite::Connection::open(served.state().join("runs.sqlite")).unwrap();
    let mut text = String::new();
    for table in ["audit", "runs", "accounts", "sessions", "first_token", "mutes", "schedules"] {
        let mut statement = file.prepare(&format!("SELECT * FROM {table} ORDER BY 1")).unwrap();
        let columns = statement.column_count();
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let cells = (0..columns).map(|n| format!("{:?}|", row.get_ref(n).unwrap()));
            text.push_str(&format!("{table}: {}\n", cells.collect::<String>()));
        }
    }
    text
}

fn cases(all: &BTreeMap<String, Methods>) -> Vec<Case<'_>> {
    let mut cases = Vec::new();
    for (path, methods) in all {
        let mut asked: Vec<&str> = methods.keys().map(String::as_str).chain(["GET", "PUT"]).collect();
        asked.sort_unstable();
        asked.dedup();
        for n in 0..asked.len() * 64 {
            let (method, n) = (asked[n / 64], n % 64);
            let (role, header, from, foreign_host) = (n % 4, n / 4 % 2 == 1, n / 8 % 4, n / 32 == 1);
            cases.push(Case { path, method, role, header, from, foreign_host });
        }
    }
    cases
}

#[test]
fn every_combination_is_refused_or_let_in_as_the_rule_says() {
    let cluster = Cluster::start(2);
    let more = "[[schedule]]\nname = \"nightly\"\ncron = \"0 0 1 1 *\"\ncatch_up = \"none\"\n";
    let served = Served::start(&cluster, Said { more, ..Said::default() });
    let mut tokens = vec![String::new()];
    for role in &ROLES[1..3] {
        served.account(role, role, PASSWORD);
        tokens.push(served.token_of(&served.log_in(role, PASSWORD).session()));
    }
    tokens.push(served.token.clone());
    // the schedule is known to the state from the first tick on
    served.until("/api/v1/schedules", |answer| kept(&served).contains("schedules: ") && answer.status == 200);
    let all = endpoints();
    assert!(all.len() > 40, "{}", all.len());
    let before = kept(&served);
    assert!(before.contains("audit: ") && before.contains("accounts: "), "{before}");
    let (mut counts, mut wrong): (BTreeMap<u16, usize>, Vec<String>) = Default::default();
    let cases = cases(&all);
    for case in &cases {
        let Some(expected) = refusal(case, &all[case.path]) else { continue };
        let answer = served.ask(&ask(&served, case, &tokens));
        *counts.entry(expected).or_default() += 1;
        if answer.status != expected {
            wrong.push(format!("{case:?}: {} and not {expected}", answer.status));
        }
    }
    assert!(wrong.is_empty(), "{} of {counts:?}: {:#?}", wrong.len(), &wrong[..wrong.len().min(20)]);
    assert_eq!(kept(&served), before, "a refused request changed something");
    let mut let_in = 0;
    for case in &cases {
        if refusal(case, &all[case.path]).is_some() {
            continue;
        }
        let ends_session = case.method == "DELETE" && case.path == "/api/v1/session";
        let tokens = match ends_session {
            true => {
                let fresh = Ask::new("POST", "/api/v1/tokens").token(&tokens[case.role]).ours();
                vec![served.ask(&fresh).of(201)["token"].as_str().unwrap().to_owned(); 4]
            }
            false => tokens.clone(),
        };
        let answer = served.ask(&ask(&served, case, &tokens));
        let_in += 1;
        if matches!(answer.status, 0 | 401 | 403 | 405 | 500) {
            wrong.push(format!("{case:?}: {} {}", answer.status, answer.text()));
        }
    }
    assert!(wrong.is_empty(), "{} of {let_in} let in: {:#?}", wrong.len(), &wrong[..wrong.len().min(20)]);
    println!("{} combinations: refused {counts:?}, let in {let_in}", cases.len());
    assert!(cases.len() > 5_000 && let_in > 500 && counts.len() == 3);
    assert!(served.get("/api/v1/audit").of(200)["broken_at"].is_null());
}
