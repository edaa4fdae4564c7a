//! What holds a check of real servers back, and whose statements are ended when somebody must give way: ours.

use super::masters::{Masters, Shape};
use super::server::Program;
use crate::cluster::Session;
use crate::commands::said;
use crate::gentle::{check, ended, held, runs, start, until_said};
use std::process::Child;
use std::time::Duration;

/// The rows of the table.
const ROWS: u64 = 3_000;
/// The longest that a transaction of ours may be open on a server, in seconds: rows are locked for 1.5 s at most, and a
/// statement or two come before and after.
const TRANSACTION_MOST_S: u64 = 5;
/// How often the servers' lists of statements are looked at.
const LOOK: Duration = Duration::from_millis(5);
/// How often those of transactions: a server makes this list anew only when nobody has asked for it for a tenth of a second.
const LOOK_AT_TRANSACTIONS: Duration = Duration::from_millis(120);
/// After how many such looks the pause ends.
const LOOKS_PAUSED: u32 = 17;

fn pair() -> Option<Masters> {
    let masters = Masters::start(&Program::mariadb()?, Shape::Pair);
    masters.run(1, "CREATE DATABASE shop");
    masters.run(1, "CREATE TABLE shop.t (id INT PRIMARY KEY, pad VARCHAR(100))");
    let values: Vec<String> = (0..ROWS).map(|id| format!("({id}, 'pad {id}')")).collect();
    masters.run(1, &format!("INSERT INTO shop.t VALUES {}", values.join(",")));
    masters.settle();
    Some(masters)
}

#[test]
fn a_check_waits_while_a_server_is_busy_and_goes_on_when_it_is_not() {
    let Some(masters) = pair() else { return };
    let connected = |masters: &Masters| -> u64 {
        let answer = masters.ask(2, "SHOW GLOBAL STATUS LIKE 'Threads_connected'");
        answer[0][1].as_deref().unwrap().parse().unwrap()
    };
    // what the check needs itself is some connections; those of the test are many more
    let most = connected(&masters) + 30;
    let crowd: Vec<Session> = (0..40).map(|_| masters.session(2)).collect();
    let mut child =
        start(&masters, &["--max-load", &format!("Threads_running=1000,Threads_connected={most}")]);
    until_said(&mut child, "pausing: Threads_connected is ");
    std::thread::sleep(Duration::from_millis(1_500));
    assert!(runs(&mut child));
    drop(crowd);
    let (code, report, err) = ended(child);
    let (ms, pauses) = held(&report, "load");
    assert!(code == 0 && pauses == 1 && ms >= 1_400, "{report}{err}");
    // a fifth more than now is not reached, and neither is the check's own doing
    let (code, report, err) = check(&masters, &["--max-load", "Innodb_page_size"]);
    assert_eq!((code, held(&report, "load")), (0, (0, 0)), "{err}");
    let (code, out, err) = said(&masters.evensum(&["check", "--max-load", "Threads_walking=3"]));
    assert!(code == 3 && out.is_empty() && err.contains(" has no status variable Threads_walking"), "{err}");
}

#[test]
fn a_check_waits_for_a_real_replica_that_is_behind() {
    let Some(masters) = pair() else { return };
    masters.relink(2, "MASTER_DELAY=3600");
    masters.run(1, "UPDATE shop.t SET pad = 'late' WHERE id = 0");
    let behind = || masters.link(2, "Seconds_Behind_Master").parse().unwrap_or(0);
    while behind() < 2 {
        std::thread::sleep(LOOK);
    }
    let mut child = start(&masters, &["--max-lag", "1s"]);
    until_said(&mut child, " s behind ");
    std::thread::sleep(Duration::from_millis(1_500));
    assert!(runs(&mut child));
    masters.relink(2, "MASTER_DELAY=0");
    let (code, report, err) = ended(child);
    let (ms, pauses) = held(&report, "lag");
    assert!(code == 0 && pauses >= 1 && ms >= 1_400, "{report}{err}");
    // who may not ask for the lag is told so, and is refused only if it was asked for
    for sql in [
        "CREATE USER small@'127.0.0.1'",
        "GRANT SELECT ON shop.* TO small@'127.0.0.1'",
        "GRANT ALL ON evensum.* TO small@'127.0.0.1'",
    ] {
        masters.run(1, sql);
    }
    masters.settle();
    let [one, two] = [1, 2].map(|n| masters.url(n).replace("root@", "small@"));
    let (code, _, err) = said(&masters.evensum_plain(&["check", "--tables", "shop.*", &one, &two]));
    assert!(code == 0 && err.contains("is not minded: ") && err.contains("SLAVE MONITOR"), "{code} {err}");
    let (code, _, err) = said(&masters.evensum_plain(&["check", "--max-lag", "1s", &one, &two]));
    assert!(code == 3 && err.contains("E0202") && err.contains("SLAVE MONITOR"), "{code} {err}");
}

/// Ends statements of ours while the check runs: all that digest rows, and so many on each node that read them; how many of those
/// it ended.
fn end_statements(masters: &Masters, child: &mut Child, most: u32) -> u32 {
    let mut sessions: Vec<Session> = (1..=masters.len()).map(|n| masters.session(n)).collect();
    let mut killed = vec![0; sessions.len()];
    let sql = "SELECT id, info LIKE '%SHA2%' FROM information_schema.PROCESSLIST \
               WHERE info LIKE '%`pad`%' AND time_ms > 50 AND id <> CONNECTION_ID()";
    while runs(child) {
        for (session, killed) in sessions.iter_mut().zip(&mut killed) {
            for row in session.ask(sql).unwrap() {
                let (id, digests) = (row[0].as_deref().unwrap(), row[1].as_deref() == Some("1"));
                if (digests || *killed < most) && session.run(&format!("KILL QUERY {id}")).is_ok() {
                    *killed += u32::from(!digests);
                }
            }
        }
        std::thread::sleep(LOOK);
    }
    killed.iter().sum()
}

#[test]
fn a_statement_of_ours_that_is_ended_is_made_again_with_fewer_rows() {
    let Some(masters) = pair() else { return };
    // each row takes its time, so that there is something to end
    let mut child = start(&masters, &["--chunk-rows", "400", "--where", "SLEEP(0.0005) = 0"]);
    let killed = end_statements(&masters, &mut child, 3);
    let (code, report, err) = ended(child);
    println!("{killed} statements were ended; {} chunks were read again", report["chunks_retried"]);
    assert_eq!((code, &report["tables"][0]["rows"]), (0, &ROWS.into()), "{report}{err}");
    assert!(killed >= 3 && report["chunks_retried"].as_u64().unwrap() > 0, "{killed} {report}");
}

#[test]
fn no_transaction_of_ours_is_open_for_long() {
    let Some(masters) = pair() else { return };
    masters.corrupt(2, &["UPDATE shop.t SET pad = 'wrong' WHERE id = 7", "DELETE FROM shop.t WHERE id = 8"]);
    // a link is late, so that what is locked stays locked as long as it ever may
    masters.relink(1, "MASTER_DELAY=1");
    let file = masters.path("pause");
    std::fs::write(&file, "").unwrap();
    let args = ["--settle", "20s", "--chunk-rows", "100", "--pause-file", file.to_str().unwrap()];
    let mut child = start(&masters, &args);
    let mut sessions: Vec<Session> = (1..=masters.len()).map(|n| masters.session(n)).collect();
    let sql = "SELECT TIMESTAMPDIFF(SECOND, trx_started, NOW()) FROM information_schema.INNODB_TRX \
               WHERE trx_mysql_thread_id <> CONNECTION_ID() AND trx_mysql_thread_id > 0";
    let (mut longest, mut seen, mut looks) = (0, 0, 0_u32);
    while runs(&mut child) {
        for session in &mut sessions {
            let open: Vec<u64> = session
                .ask(sql)
                .unwrap()
                .iter()
                .map(|row| row[0].as_deref().unwrap().parse().unwrap())
                .collect();
            (longest, seen) = (longest.max(open.iter().copied().max().unwrap_or(0)), seen + open.len());
        }
        // only in a table that is being written do rows have to be locked to be sure of them
        sessions[0].ask(&format!("UPDATE shop.t SET pad = '{looks}' WHERE id = 9")).unwrap();
        looks += 1;
        if looks == LOOKS_PAUSED {
            // it was paused for two seconds or more: nothing of ours may be open then
            assert_eq!(seen, 0, "a transaction is open while nothing is done");
            std::fs::remove_file(&file).unwrap();
        }
        std::thread::sleep(LOOK_AT_TRANSACTIONS);
    }
    let (code, report, err) = ended(child);
    assert!((1..=2).contains(&code), "{report}{err}");
    println!("{seen} sights of open transactions in {looks} looks; the longest was {longest} s");
    assert!(looks > LOOKS_PAUSED && seen > 0 && longest <= TRANSACTION_MOST_S, "{seen} {longest}");
}

/// However few values the first column of a key has, a check reads each row a few times, and not once more for every chunk.
fn each_row_is_read_a_few_times(program: &Program) {
    let masters = Masters::start(program, Shape::Pair);
    masters.run(1, "CREATE DATABASE shop");
    masters.run(
        1,
        "CREATE TABLE shop.t (region VARCHAR(9) COLLATE utf8mb4_general_ci, id INT, v INT, PRIMARY KEY (region, id))",
    );
    for n in 0..40 {
        let values: Vec<String> = (n * 1_000..(n + 1) * 1_000)
            .map(|id| format!("('{}',{id},1)", ["East", "west"][id % 2]))
            .collect();
        masters.run(1, &format!("INSERT INTO shop.t VALUES {}", values.join(",")));
    }
    masters.settle();
    let reads = || -> u64 {
        let counts = masters.ask(1, "SHOW GLOBAL STATUS LIKE 'Handler_read_next'");
        counts[0][1].as_deref().unwrap().parse().unwrap()
    };
    for digest in ["server", "stream"] {
        let before = reads();
        let check = ["check", "--tables", "shop.*", "--chunk-rows", "500", "--digest", digest];
        let (code, out, err) = said(&masters.evensum(&check));
        assert_eq!(code, 0, "{out} {err}");
        let each = (reads() - before) / 40_000;
        println!("--digest {digest}: each of 40,000 rows was read {each} times");
        assert!(each <= 6, "--digest {digest}: each row was read {each} times");
    }
}

#[test]
fn a_key_whose_first_column_has_few_values_is_read_once_on_mariadb() {
    Program::mariadb().iter().for_each(each_row_is_read_a_few_times);
}

#[test]
fn a_key_whose_first_column_has_few_values_is_read_once_on_mysql() {
    Program::mysql().iter().for_each(each_row_is_read_a_few_times);
}
