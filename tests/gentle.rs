//! What holds a check back, and what brings it on its way again: each cause is made to happen, and must be seen to have held the
//! check for some time. And checks that are killed again and again, and still say in the end what one says that was not.

use crate::cluster::{Cluster, POLL, WAIT};
use crate::commands::said;
use crate::wire::{State, Wire};
use crate::workload::{Random, full, seeds};
use serde_json::Value;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long each pause is made to last at least.
const PAUSE: Duration = Duration::from_millis(1_500);

/// A cluster with tables of so many rows each, the same on all nodes.
fn cluster(nodes: usize, tables: u32, rows: u32) -> Cluster {
    let cluster = Cluster::start(nodes);
    cluster.run(1, "CREATE DATABASE shop");
    for table in 0..tables {
        cluster.run(1, &format!("CREATE TABLE shop.t{table} (id INT PRIMARY KEY, v VARCHAR(40), n BIGINT)"));
        for start in (0..rows).step_by(2_000) {
            let values: Vec<String> = (start..(start + 2_000).min(rows))
                .map(|id| format!("({id},'näme {id}',{})", id % 97))
                .collect();
            cluster.run(1, &format!("INSERT INTO shop.t{table} VALUES {}", values.join(",")));
        }
    }
    cluster.settle();
    cluster
}

/// Starts `evensum check` on the tables of the shop.
pub fn start(cluster: &Cluster, args: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_evensum"))
        .args(["check", "--tables", "shop.*", "--json", "--config"])
        .arg(cluster.path("evensum.toml"))
        .args(args)
        .env("EVENSUM_STATE", cluster.path("state"))
        .env("HOME", cluster.folder())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The exit code, the report and stderr of a check that ends.
pub fn ended(child: Child) -> (i32, Value, String) {
    let (code, out, err) = said(&child.wait_with_output().unwrap());
    (code, serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}")), err)
}

pub fn check(cluster: &Cluster, args: &[&str]) -> (i32, Value, String) {
    ended(start(cluster, args))
}

/// For how long a cause held a check, and how often.
pub fn held(report: &Value, cause: &str) -> (u64, u64) {
    let held = &report["throttled"][cause];
    (held["ms"].as_u64().unwrap_or(0), held["pauses"].as_u64().unwrap_or(0))
}

pub fn runs(child: &mut Child) -> bool {
    child.try_wait().unwrap().is_none()
}

/// Ctrl-C.
fn interrupt(child: &Child) {
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
}

/// Waits until a line of stderr of a running check holds this.
pub fn until_said(child: &mut Child, part: &str) {
    use std::io::{BufRead, BufReader};
    let mut err = BufReader::new(child.stderr.take().unwrap());
    let (mut line, mut all) = (String::new(), String::new());
    while err.read_line(&mut line).unwrap() > 0 {
        if line.contains(part) {
            child.stderr = Some(err.into_inner());
            return;
        }
        all.push_str(&line);
        line.clear();
    }
    panic!("it ended and never said '{part}': {all}");
}

#[test]
fn a_pause_file_holds_a_check_as_long_as_it_is_there() {
    let cluster = cluster(2, 2, 2_000);
    let file = cluster.path("pause");
    std::fs::write(&file, "").unwrap();
    let mut child = start(&cluster, &["--pause-file", file.to_str().unwrap()]);
    until_said(&mut child, "pausing: ");
    std::thread::sleep(PAUSE);
    assert!(runs(&mut child));
    std::fs::remove_file(&file).unwrap();
    let (code, report, err) = ended(child);
    assert_eq!(code, 0, "{err}");
    let (ms, pauses) = held(&report, "pause_file");
    assert!(pauses == 1 && ms >= 1_400 && ms <= report["elapsed_ms"].as_u64().unwrap(), "{report}");
    // and said so in words
    std::fs::write(&file, "").unwrap();
    let config = cluster.path("evensum.toml");
    let text = std::fs::read_to_string(&config).unwrap() + "[check]\npause_file = \"pause\"\n";
    std::fs::write(&config, text).unwrap();
    let mut child = start(&cluster, &[]);
    until_said(&mut child, "pause is there");
    // Ctrl-C ends a pause
    interrupt(&child);
    let begun = Instant::now();
    let (code, report, err) = ended(child);
    assert_eq!((code, &report["interrupted"]), (130, &true.into()), "{err}");
    assert!(begun.elapsed() < WAIT, "{:?}", begun.elapsed());
    assert!(held(&report, "pause_file").1 == 1 && err.contains("--resume="), "{report}{err}");
    std::fs::remove_file(&file).unwrap();
    let (code, _, err) = check(&cluster, &["--resume"]);
    assert_eq!(code, 0, "{err}");
    let (code, out, err) = said(&cluster.evensum(&["check", "--resume"]));
    assert_eq!((code, out.as_str()), (3, ""), "{err}");
    assert!(err.contains("no check that was killed or stopped"), "{err}");
}

#[test]
fn a_check_waits_for_a_replica_that_is_behind_and_not_for_one_that_is_stopped() {
    let cluster = cluster(2, 1, 2_000);
    for sql in ["STOP SLAVE", "CHANGE MASTER TO MASTER_DELAY=3600", "START SLAVE"] {
        cluster.run(2, sql);
    }
    cluster.run(1, "UPDATE shop.t0 SET n = 1000 WHERE id = 0");
    let begun = Instant::now();
    while cluster.link(2, "Seconds_Behind_Master").parse().unwrap_or(0) < 2 {
        assert!(begun.elapsed() < WAIT, "it is never behind");
        std::thread::sleep(POLL);
    }
    let mut child = start(&cluster, &["--max-lag", "1s"]);
    until_said(&mut child, &format!(" s behind 127.0.0.1:{}", cluster.port(1)));
    std::thread::sleep(PAUSE);
    assert!(runs(&mut child));
    for sql in ["STOP SLAVE", "CHANGE MASTER TO MASTER_DELAY=0", "START SLAVE"] {
        cluster.run(2, sql);
    }
    let (code, report, err) = ended(child);
    assert_eq!(code, 0, "{report}{err}");
    let (ms, pauses) = held(&report, "lag");
    assert!(pauses >= 1 && ms >= 1_400, "{report}");
    let (code, report, _) = check(&cluster, &["--max-lag", "off"]);
    assert_eq!((code, held(&report, "lag")), (0, (0, 0)));

    cluster.partition(2);
    let (code, report, err) = check(&cluster, &["--max-lag", "1s"]);
    cluster.heal(2);
    // all was applied before, so the verdict stands
    assert_eq!((code, held(&report, "stopped_replication")), (0, (0, 0)), "{report}{err}");
    let notes = report["notes"].as_array().unwrap();
    assert!(
        notes.len() == 1 && notes[0].as_str().unwrap().contains("was stopped when the run began"),
        "{notes:?}"
    );
}

#[test]
fn a_check_that_works_a_third_of_the_time_takes_three_times_as_long() {
    let cluster = cluster(2, 2, 20_000);
    let (code, report, err) = check(&cluster, &["--chunk-rows", "1000", "--intensity", "0.3"]);
    assert_eq!(code, 0, "{err}");
    let (ms, pauses) = held(&report, "intensity");
    let elapsed = report["elapsed_ms"].as_u64().unwrap();
    assert!(pauses >= 40, "{report}");
    // what is not rest: the chunks, and what comes before and after them; each rest is up to two milliseconds
    // longer than asked for, because timers count in whole ones, which would be much beside small chunks
    let share = 1.0 - ms as f64 / elapsed as f64;
    println!("rested {ms} of {elapsed} ms: {share:.2} of the time was work");
    assert!(share > 0.2 && share < 0.6, "{share}: {report}");
}

#[test]
fn outside_its_window_a_check_waits_and_says_until_when() {
    let cluster = cluster(2, 1, 500);
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() / 60 % 1_440;
    let hour = |minutes: u64| format!("{:02}:{:02}", minutes / 60 % 24, minutes % 60);
    let (open, closed) = (
        format!("{}-{}", hour(now + 1_380), hour(now + 120)),
        format!("{}-{}", hour(now + 120), hour(now + 180)),
    );
    let (code, report, err) = check(&cluster, &["--window", &open, "--timezone", "UTC"]);
    assert_eq!((code, held(&report, "window")), (0, (0, 0)), "{err}");
    let mut child = start(&cluster, &["--window", &closed, "--timezone", "UTC"]);
    until_said(&mut child, &format!("outside the window, which opens at {} (UTC)", hour(now + 120)));
    std::thread::sleep(PAUSE);
    assert!(runs(&mut child));
    interrupt(&child);
    let (code, report, _) = ended(child);
    let (ms, pauses) = held(&report, "window");
    assert!(code == 130 && pauses == 1 && ms >= 1_400, "{report}");
    if full() {
        // one that opens within the next two minutes
        let (code, report, _) = check(
            &cluster,
            &["--window", &format!("{}-{}", hour(now + 2), hour(now + 60)), "--timezone", "UTC"],
        );
        assert!(code == 0 && held(&report, "window").1 == 1, "{report}");
    }
}

/// A report without what may differ between two runs over the same rows.
fn lasting(mut report: Value) -> Value {
    for field in ["run", "elapsed_ms", "throttled", "chunks_resumed"] {
        assert!(report.as_object_mut().unwrap().remove(field).is_some(), "{field}");
    }
    report
}

/// Wrongs some rows of each table on the second node.
fn wrong(cluster: &Cluster, tables: u32, rows: u32) {
    for table in 0..tables {
        cluster.corrupt(
            2,
            &[
                &format!("UPDATE shop.t{table} SET v = 'wrong' WHERE id = {}", rows / 3),
                &format!("DELETE FROM shop.t{table} WHERE id = {}", rows / 2),
                &format!("INSERT INTO shop.t{table} VALUES ({}, 'extra', 1)", rows + 5),
            ],
        );
    }
}

#[test]
fn a_report_does_not_depend_on_the_number_of_threads() {
    let cluster = cluster(3, 6, 3_000);
    wrong(&cluster, 6, 3_000);
    let (code, report, err) = check(&cluster, &["--chunk-rows", "200"]);
    assert_eq!((code, report["divergences"].as_array().unwrap().len()), (1, 18), "{err}");
    let one = lasting(report);
    for threads in ["2", "5"] {
        let (code, report, err) = check(&cluster, &["--chunk-rows", "200", "--threads", threads]);
        assert_eq!((code, lasting(report)), (1, one.clone()), "{threads} threads: {err}");
    }
}

/// How long an answer takes where a check is not to be over before it is killed.
const ANSWER: Duration = Duration::from_millis(2);

/// What kills did.
#[derive(Default, Debug)]
struct Kills {
    /// Checks that were killed.
    killed: u32,
    /// Of them, those that had kept something.
    kept: u32,
    /// Kills that came too late.
    late: u32,
    /// The chunks that were taken over in the end, and those that were read again although they had been read.
    taken_over: u64,
    read_twice: u64,
}

/// How many parts all checks together have kept.
fn parts(cluster: &Cluster) -> i64 {
    let path = cluster.path("state/runs.sqlite");
    let read = || {
        let runs = rusqlite::Connection::open(&path).ok()?;
        runs.query_row("SELECT COUNT(*) FROM checkpoint_parts", [], |row| row.get(0)).ok()
    };
    read().unwrap_or(0)
}

/// Kills a check at random moments, again and again, and lets it come to its end; its last report.
fn killed_and_resumed(
    cluster: &Cluster,
    args: &[&str],
    random: &mut Random,
    kills: &mut Kills,
) -> (i32, Value) {
    let resume: Vec<&str> = args.iter().copied().chain(["--resume"]).collect();
    let mut resumes = false;
    for _ in 0..3 {
        let wanted = parts(cluster) + i64::try_from(random.below(4)).unwrap();
        let mut child = start(cluster, if resumes { &resume } else { args });
        // so many parts more, and somewhere in the next one
        while runs(&mut child) && parts(cluster) < wanted {
            std::thread::sleep(POLL);
        }
        std::thread::sleep(Duration::from_millis(random.below(300)));
        let over = !runs(&mut child);
        let _ = child.kill();
        if over {
            kills.late += 1;
            let (code, report, _) = ended(child);
            return (code, report);
        }
        child.wait().unwrap();
        kills.killed += 1;
        resumes = begun(cluster);
        kills.kept += u32::from(resumes && parts(cluster) > 0);
    }
    let (code, report, err) = check(cluster, if resumes { &resume } else { args });
    assert!(!err.contains("cannot be resumed"), "{err}");
    (code, report)
}

/// Whether the latest check can be resumed.
fn begun(cluster: &Cluster) -> bool {
    let (code, _, err) = said(&cluster.evensum(&["check", "--resume", "--where", "id = 0"]));
    assert_eq!(code, 3, "{err}");
    err.contains("other tables or rows")
}

#[test]
fn a_check_that_is_killed_goes_on_and_says_the_same_in_the_end() {
    let (tables, rows) = (3, 20_000);
    let cluster = cluster(2, tables, rows);
    wrong(&cluster, tables, rows);
    let (code, report, err) = check(&cluster, &["--chunk-rows", "50"]);
    assert_eq!((code, report["divergences"].as_array().unwrap().len()), (1, 9), "{err}");
    let chunks: u64 =
        report["tables"].as_array().unwrap().iter().map(|t| t["chunks"].as_u64().unwrap()).sum();
    let through = lasting(report);
    // from here on each answer takes its time, and a check a second or more
    let wire = Wire::to(cluster.port(2));
    wire.put(State::Slow(ANSWER));
    let config = cluster.path("evensum.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace(&format!(":{}\"", cluster.port(2)), &format!(":{}\"", wire.port)))
        .unwrap();
    let mut kills = Kills::default();
    let seed = seeds(1)[0];
    let mut random = Random::new(seed);
    println!("EVENSUM_SEED={seed}");
    for round in 0..if full() { 40 } else { 3 } {
        let threads = if round % 2 == 0 { "1" } else { "3" };
        let args = ["--chunk-rows", "50", "--threads", threads];
        let (code, report) = killed_and_resumed(&cluster, &args, &mut random, &mut kills);
        let taken_over = report["chunks_resumed"].as_u64().unwrap();
        kills.taken_over += taken_over;
        // the ledger has a row for each chunk that any of the attempts read to its end
        let run = report["run"].as_str().unwrap();
        let sql = format!("SELECT COUNT(*) FROM evensum.checksums WHERE run LIKE '{run}-%' AND node = 'n1'");
        let pushed: u64 = cluster.ask(1, &sql)[0][0].as_deref().unwrap().parse().unwrap();
        assert!(pushed >= chunks, "{pushed} of {chunks} chunks were read");
        kills.read_twice += pushed - chunks;
        assert_eq!((code, lasting(report)), (1, through.clone()), "{kills:?}, EVENSUM_SEED={seed}");
    }
    println!("{chunks} chunks: {kills:?}");
    assert!(kills.killed > 0 && kills.kept > 0 && kills.taken_over > 0, "{kills:?}");
    assert!(kills.read_twice <= kills.taken_over, "{kills:?}");
}

#[test]
fn a_check_of_something_else_is_not_resumed() {
    let cluster = cluster(2, 1, 500);
    let file = cluster.path("pause");
    std::fs::write(&file, "").unwrap();
    let mut child = start(&cluster, &["--pause-file", file.to_str().unwrap()]);
    until_said(&mut child, "pausing: ");
    child.kill().unwrap();
    child.wait().unwrap();
    let refused = |args: &[&str], part: &str| {
        let (code, out, err) = said(&cluster.evensum_plain(args));
        assert_eq!((code, out.as_str()), (3, ""), "{err}");
        assert!(err.contains(part) && err.contains("Nothing was changed"), "{err}");
    };
    let (one, two) = (cluster.url(1) + "?name=n1", cluster.url(2) + "?name=n2");
    let (tables, resume) = (["--tables", "shop.*"], "--resume");
    refused(&["check", resume, &one, &two], "other tables or rows");
    refused(
        &["check", resume, "--where", "id < 5", tables[0], tables[1], &one, &two],
        "other tables or rows",
    );
    refused(&["check", resume, tables[0], tables[1], &two, &one], "other nodes");
    refused(&["check", "--resume=nobody", &one, &two], "no check 'nobody'");
    let (code, _, err) = said(&cluster.evensum_plain(&["check", resume, tables[0], tables[1], &one, &two]));
    assert_eq!(code, 0, "{err}");
}
