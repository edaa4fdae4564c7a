//! Transcripts: each file in `node/scripts` holds statements and what they must answer.
//!
//! A block is a statement, a line `---`, and the answer: rows with `|` between cells, `ok N`, or
//! `error CODE message`. Blocks are separated by an empty line. That MariaDB answers the same, but for what is listed beside
//! the transcripts, is the test `scripts_mariadb`.

use super::{Inside, Kept};
use crate::session::{ExecError, Session};

fn answer(session: &mut Session, sql: &str) -> String {
    let mut kept = Kept::default();
    match session.execute(sql.as_bytes(), &mut kept) {
        Err(ExecError::Sql(error)) => format!("error {} {}", error.code, error.message),
        Err(other) => panic!("{sql}: {other}"),
        Ok(()) => match kept.done {
            Some(done) => format!("ok {}", done.affected_rows),
            None => kept.rows.iter().map(|row| row.join("|")).collect::<Vec<_>>().join("\n"),
        },
    }
}

#[test]
fn every_transcript_holds() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts");
    let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|kind| kind == "sql"));
    files.sort();
    assert!(!files.is_empty());
    let mut wrong = Vec::new();
    for file in files {
        let inside = Inside::new();
        let mut session = inside.session();
        let text = std::fs::read_to_string(&file).unwrap();
        for block in
            text.split("\n\n").map(|b| b.trim_matches('\n')).filter(|b| !b.is_empty() && !b.starts_with("# "))
        {
            let (sql, wanted) = block.split_once("\n---").unwrap_or((block, ""));
            let wanted = wanted.trim_matches('\n');
            let got = answer(&mut session, sql);
            if got != wanted {
                wrong.push(format!("{}\n{sql}\n--- wanted\n{wanted}\n--- got\n{got}\n", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
