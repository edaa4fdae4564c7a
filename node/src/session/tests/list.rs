//! The list of statements in `docs/statements.md`: the forms of those that the transcripts and the articles hold the node to.
//!
//! A form is the words that make a statement what it is: its clauses as they were typed, nothing of its objects, values and
//! expressions. The words are a closed list, so that a column called `line` is not taken for one; a statement that
//! begins with a word that is not in it fails the test. The test fails as well where the file differs;
//! `EVENSUM_WRITE_STATEMENTS=1` writes it anew. The forms do not say what may stand in an expression.

use std::collections::BTreeSet;

use sqlparser::tokenizer::Token;

use crate::protocol::split;
use crate::sql::parse::Text;

const HEAD: &str = "# Statements of the bundled node\n\nThe forms of every statement that a transcript in `node/scripts` or an article in \
`tests/walkthroughs` expects to succeed: the words of its clauses, without names, values and expressions. Written by a test \
(`EVENSUM_WRITE_STATEMENTS=1 cargo test -p node the_list`), which fails where this file differs. What is not here is tested elsewhere \
(accounts, clients), or gets error 1064 or 1235.\n\n";

/// The words of statements that hold expressions. What else stands in them is an expression's.
const QUERIES: &str = "SELECT DISTINCT FROM LEFT RIGHT INNER CROSS NATURAL JOIN ON USING WHERE GROUP BY HAVING ORDER LIMIT UNION \
    ALL FOR UPDATE WITH INSERT REPLACE IGNORE INTO VALUES SET DUPLICATE KEY DELETE EXPLAIN DESC DESCRIBE DO";
/// The words of the others.
const OTHERS: &str = "ADD AFTER ALL ALTER ANALYZE BEGIN BINARY BINLOG BY CHANGE CHARACTER CHARSET CHECK COLLATE COLLATION COLUMN COLUMNS COMMENT \
    COMMIT COMMITTED CREATE DATABASE DATABASES DEFAULT DELETE DROP ENGINE EVENTS EXISTS FLUSH FOR FROM FULL GLOBAL GRANT GRANTS \
    IDENTIFIED IF IN INDEX INSERT ISOLATION KEY KILL LEVEL LIKE LIMIT LOCAL LOCK LOGS MASTER MODIFY NAMES NOT ON OPTIMIZE OPTION PASSWORD \
    PRIVILEGES PROCESSLIST PURGE QUERY READ RELEASE RENAME REPAIR REPEATABLE REPLICA REPLICATION REQUIRE RESET REVOKE ROLLBACK SAVEPOINT \
    SELECT SERIALIZABLE SESSION SET SHOW SLAVE SOURCE SSL START STATUS STOP TABLE TABLES TO TRANSACTION TRUNCATE UNCOMMITTED \
    UNIQUE UNLOCK UPDATE USE USER VARIABLES WARNINGS WHERE WITH WRITE";
/// Functions where a parenthesis follows.
const FUNCTIONS: [&str; 8] = ["LEFT", "RIGHT", "REPLACE", "INSERT", "USER", "DATABASE", "TRUNCATE", "IF"];

/// The words of a statement's clauses, in their order. What stands in parentheses is not looked into.
fn form(sql: &str) -> Option<String> {
    let text = Text::new(sql.as_bytes()).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let tokens: Vec<&Token> = text.solid().collect();
    let is_query = text.words(1).first().is_some_and(|first| QUERIES.split(' ').any(|word| word == first))
        && text.words(1) != ["SET"];
    let known = if is_query { QUERIES } else { OTHERS };
    let (mut depth, mut words) = (0, Vec::<String>::new());
    for (at, token) in tokens.iter().enumerate() {
        let (before, after) = (at.checked_sub(1).map(|at| tokens[at]), tokens.get(at + 1).copied());
        match token {
            Token::LParen => depth += 1,
            Token::RParen => depth -= 1,
            Token::Word(word) if depth == 0 && word.quote_style.is_none() => {
                let word = word.value.to_ascii_uppercase();
                let is_name = [before, after].contains(&Some(&Token::Period));
                let is_function = after == Some(&Token::LParen) && FUNCTIONS.contains(&word.as_str());
                let is_value = before == Some(&Token::Eq)
                    || (word == "VALUES" && words.contains(&word))
                    || (word == "DESC" && !words.is_empty());
                let is_option = words.first().is_some_and(|first| first == "CHANGE")
                    && (word.starts_with("MASTER_") || word.starts_with("SOURCE_"));
                let is_known = is_option || known.split_ascii_whitespace().any(|one| one == word);
                let is_other = is_name || is_function || is_value;
                if is_known && !is_other && (word != "NOT" || follows(after, "EXISTS")) {
                    words.push(word);
                }
            }
            _ => {}
        }
    }
    assert!(tokens.is_empty() || !words.is_empty(), "no word of it is known: {sql}");
    assert!(text.words(1).first() == words.first(), "its first word is not known: {sql}");
    (!words.is_empty()).then(|| words.join(" "))
}

fn follows(after: Option<&Token>, wanted: &str) -> bool {
    matches!(after, Some(Token::Word(word)) if word.value.eq_ignore_ascii_case(wanted))
}

/// The statements of a transcript that succeed.
fn of_transcript(text: &str) -> Vec<String> {
    let blocks = text.split("\n\n").map(|block| block.trim_matches('\n'));
    let typed = blocks.filter(|block| !block.starts_with("# ")).filter_map(|block| block.split_once("\n---"));
    typed
        .filter(|(_, answer)| !answer.trim_start().starts_with("error "))
        .map(|(sql, _)| sql.to_owned())
        .collect()
}

/// The statements that an article has typed at a node, but those that it shows to fail.
fn of_article(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for block in text.split("\n>>> ").skip(1) {
        let (title, body) = block.split_once('\n').unwrap_or((block, ""));
        if title.split(' ').nth(1) != Some("sql") || body.lines().any(|line| line.starts_with("ERROR ")) {
            continue;
        }
        let typed: Vec<&str> =
            body.lines().take_while(|line| !line.starts_with("--- ") && !line.starts_with("## ")).collect();
        // The stock client's other end of a statement.
        let typed = typed.join("\n").replace("\\G", ";");
        found.extend(
            split::statements(typed.as_bytes())
                .into_iter()
                .map(|sql| String::from_utf8_lossy(sql).into_owned()),
        );
    }
    found
}

fn collect(folder: &str, ending: &str, of: fn(&str) -> Vec<String>, forms: &mut BTreeSet<String>) {
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|kind| kind == ending) {
            let found = of(&std::fs::read_to_string(path).unwrap());
            count += found.len();
            forms.extend(found.iter().filter_map(|sql| form(sql)));
        }
    }
    assert!(count > 50, "{folder}: {count} statements");
}

#[test]
fn a_form_is_the_words_of_the_clauses() {
    for (sql, wanted) in [
        (
            "select `from`, t.`key`, LEFT(a, 1) from x.t where b in (select 1 limit 1) -- order by",
            "SELECT FROM WHERE",
        ),
        (
            "INSERT INTO t VALUES (1) ON DUPLICATE KEY UPDATE n = n + VALUES(n)",
            "INSERT INTO VALUES ON DUPLICATE KEY UPDATE",
        ),
        ("CREATE TABLE IF NOT EXISTS t (a INT NOT NULL)", "CREATE TABLE IF NOT EXISTS"),
        ("SET @@global.x = ON, NAMES utf8", "SET NAMES"),
        ("desc select 1 from t order by a desc", "DESC SELECT FROM ORDER BY"),
        ("change master to master_host='a'", "CHANGE MASTER TO MASTER_HOST"),
    ] {
        assert_eq!(form(sql).as_deref(), Some(wanted), "{sql}");
    }
}

#[test]
fn the_list_is_what_the_transcripts_hold() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/");
    let mut forms = BTreeSet::new();
    collect(&format!("{root}scripts"), "sql", of_transcript, &mut forms);
    collect(&format!("{root}../tests/walkthroughs"), "txt", of_article, &mut forms);
    let lines: Vec<String> = forms.iter().map(|form| format!("- `{form}`\n")).collect();
    let wanted = format!("{HEAD}{}", lines.concat());
    let file = format!("{root}../docs/statements.md");
    if std::env::var_os("EVENSUM_WRITE_STATEMENTS").is_some() {
        std::fs::write(&file, &wanted).unwrap();
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(kept == wanted, "docs/statements.md differs from what is tested; see the head of this test");
}
