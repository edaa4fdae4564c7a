//! The service, left running: it finds what was planted, tells of it once, tells once that it is over, and survives kill -9, nodes
//! that go away and receivers that fail. Time runs faster here, so that a schedule of every minute takes seconds.

use crate::cluster::{Cluster, WAIT};
use crate::commands::said;
use crate::workload::{Random, full, seeds};
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How often a waiting loop looks again.
const LOOK: Duration = Duration::from_millis(50);

/// What a receiver of alerts was told: whether it fires, and of which table or thing.
type Told = (bool, String, String);

/// A receiver of Alertmanager's webhook, which can be told to fail.
struct Receiver {
    port: u16,
    told: Arc<Mutex<Vec<Told>>>,
    /// The paths by which it was asked.
    paths: Arc<Mutex<Vec<String>>>,
    failing: Arc<AtomicBool>,
    failed: Arc<AtomicU64>,
}

impl Receiver {
    fn start() -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let receiver = Receiver {
            port: listener.local_addr().unwrap().port(),
            told: Arc::default(),
            paths: Arc::default(),
            failing: Arc::default(),
            failed: Arc::default(),
        };
        let (told, paths) = (receiver.told.clone(), receiver.paths.clone());
        let (failing, failed) = (receiver.failing.clone(), receiver.failed.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let Some((path, body)) = request(&stream) else { continue };
                paths.lock().unwrap().push(path);
                let fails = failing.load(Ordering::Relaxed);
                if fails {
                    failed.fetch_add(1, Ordering::Relaxed);
                } else {
                    told.lock().unwrap().extend(notices(&body));
                }
                let status = if fails { "503 Service Unavailable" } else { "200 OK" };
                let _ =
                    write!(&stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            }
        });
        receiver
    }

    /// How often it was told of this alert of this thing that it fires, and that it is over.
    fn count(&self, name: &str, thing: &str) -> (usize, usize) {
        let told = self.told.lock().unwrap();
        let count = |fires: bool| {
            told.iter().filter(|told| told.0 == fires && told.1 == name && told.2 == thing).count()
        };
        (count(true), count(false))
    }
}

/// The path of a request, and its body: nothing if that is no JSON.
fn request(stream: &TcpStream) -> Option<(String, Value)> {
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let mut reader = BufReader::new(stream);
    let (mut line, mut length) = (String::new(), 0);
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    line.clear();
    while reader.read_line(&mut line).ok()? > 2 {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().ok()?;
        }
        line.clear();
    }
    let mut bytes = vec![0; length];
    reader.read_exact(&mut bytes).ok()?;
    Some((path, serde_json::from_slice(&bytes).unwrap_or_default()))
}

fn notices(body: &Value) -> Vec<Told> {
    if body.is_null() {
        return Vec::new();
    }
    assert_eq!(body["version"], "4", "{body}");
    let alerts = body["alerts"].as_array().unwrap().iter();
    alerts
        .map(|alert| {
            let label = |name: &str| alert["labels"][name].as_str().unwrap_or_default().to_owned();
            let thing =
                ["table", "schedule", "node", "to"].map(label).into_iter().find(|text| !text.is_empty());
            (alert["status"] == "firing", label("alertname"), thing.unwrap_or_default())
        })
        .collect()
}

/// `evensum serve` beside a cluster.
struct Service<'a> {
    cluster: &'a Cluster,
    speed: u32,
    begun: f64,
    child: Option<Child>,
}

impl<'a> Service<'a> {
    /// Writes the configuration, with these lines added, and begins to serve, with time so many times as fast.
    fn start(cluster: &'a Cluster, more: &str, speed: u32) -> Service<'a> {
        let config = cluster.path("evensum.toml");
        let text = std::fs::read_to_string(&config).unwrap();
        let state = cluster.path("state").display().to_string();
        let serve = format!("[serve]\nlisten = \"127.0.0.1:0\"\nstate = \"{state}\"\n");
        std::fs::write(&config, format!("{text}{more}\n{serve}keep_runs = 60\nlook_every = \"1s\"\n"))
            .unwrap();
        let begun = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        let mut service = Service { cluster, speed, begun, child: None };
        service.restart();
        service
    }

    fn restart(&mut self) {
        let log = File::options().create(true).append(true).open(self.cluster.path("serve.log")).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_evensum"))
            .args(["serve", "--config", self.cluster.path("evensum.toml").to_str().unwrap()])
            .env("HOME", self.cluster.folder())
            .env("EVENSUM_TEST_CLOCK", format!("{}:{}", self.begun, self.speed))
            .env_remove("EVENSUM_PASSWORD")
            .env_remove("EVENSUM_STATE")
            .stderr(Stdio::piped())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let stderr = child.stderr.take().unwrap();
        std::thread::spawn(move || {
            let mut log = log;
            BufReader::new(stderr)
                .lines()
                .map_while(Result::ok)
                .for_each(|line| drop(writeln!(log, "{line}")));
        });
        self.child = Some(child);
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    fn process(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.cluster.path("serve.log")).unwrap_or_default()
    }

    /// Asks the state file, which is only looked at.
    fn ask(&self, sql: &str) -> i64 {
        let path = self.cluster.path("state/runs.sqlite");
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        let read = || {
            let file = rusqlite::Connection::open_with_flags(&path, flags)?;
            file.busy_timeout(Duration::from_secs(10))?;
            let mut statement = file.prepare(sql)?;
            let mut rows = statement.query([])?;
            rows.next()?.map_or(Ok(None), |row| row.get::<_, Option<i64>>(0))
        };
        // before the service has made it there is nothing in it
        if !path.exists() {
            return 0;
        }
        match read() {
            // it has made the file, and its tables not yet
            Err(error) if error.to_string().contains("no such table") => 0,
            read => read.unwrap_or_else(|error| panic!("{sql}: {error}")).unwrap_or(0),
        }
    }

    fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let start = Instant::now();
        while !holds() {
            assert!(start.elapsed() < WAIT, "never: {what}\n{}", self.log());
            std::thread::sleep(LOOK);
        }
    }
}

impl Drop for Service<'_> {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A table with rows on every node.
pub fn table(cluster: &Cluster) {
    cluster.run(1, "CREATE DATABASE shop");
    cluster.run(1, "CREATE TABLE shop.orders (id INT NOT NULL PRIMARY KEY, amount DECIMAL(10,2))");
    let rows: Vec<String> = (1..=300).map(|id| format!("({id}, {id}.5)")).collect();
    cluster.run(1, &format!("INSERT INTO shop.orders VALUES {}", rows.join(",")));
    cluster.settle();
}

/// A schedule of every minute, and who is told.
fn every_minute(receiver: &Receiver) -> String {
    format!(
        "[[schedule]]\nname = \"minutely\"\ncron = \"* * * * *\"\ntables = [\"shop.*\"]\nstale_after = \"10d\"\n\
         [[alert]]\ntype = \"webhook\"\nurl = \"http://127.0.0.1:{}/\"\nrepeat = \"1d\"\ntimeout = \"2s\"\n",
        receiver.port
    )
}

/// Of each planned minute it is known what became of it.
fn account_for_minutes(service: &Service<'_>) {
    let open =
        "SELECT planned_at / 60 - first_seen / 60 - starts - missed FROM schedules WHERE name = 'minutely'";
    assert_eq!(service.ask(open), 0, "minutes of which nothing is known\n{}", service.log());
    assert!(service.ask("SELECT starts FROM schedules WHERE name = 'minutely'") > 0);
    let twice = "SELECT COUNT(*) - COUNT(DISTINCT planned_at) FROM runs WHERE schedule = 'minutely' AND planned_at IS NOT NULL";
    assert_eq!(service.ask(twice), 0, "a planned minute has two runs");
}

/// Finds, tells, and tells that it is over, with the service killed all the time.
pub fn finds_tells_and_ends(cluster: &Cluster) {
    const DIVERGENCE: (&str, &str) = ("MasterDataDivergence", "shop.orders");
    let receiver = Receiver::start();
    let mut service = Service::start(cluster, &every_minute(&receiver), 20);
    service.until("a first check", || {
        service.ask("SELECT COUNT(*) FROM tables WHERE verdict = 'identical'") > 0
    });
    cluster.corrupt(
        2,
        &["UPDATE shop.orders SET amount = 0 WHERE id = 7", "DELETE FROM shop.orders WHERE id = 9"],
    );
    let (mut kills, mut random) = (0, Random::new(seeds(1)[0]));
    let mut kill_now_and_then = |service: &mut Service<'_>, times: u32| {
        for _ in 0..times {
            std::thread::sleep(Duration::from_millis(random.below(2_500)));
            service.kill();
            kills += 1;
            service.restart();
        }
    };
    kill_now_and_then(&mut service, 3);
    service.until("an alert", || receiver.count(DIVERGENCE.0, DIVERGENCE.1).0 > 0);
    kill_now_and_then(&mut service, 3);
    // with its own configuration, so with the service's state folder; the service may be checking
    service.until("a repair", || {
        let repair = ["sync", "--tables", "shop.*", "--policy", "prefer=n1", "--execute", "--yes"];
        let (code, out, err) = said(&cluster.evensum(&repair));
        assert!(code == 0 || code == 5, "{code} {out} {err}");
        code == 0
    });
    assert_eq!(receiver.count(DIVERGENCE.0, DIVERGENCE.1).1, 0, "only a clean check ends an alert");
    kill_now_and_then(&mut service, 3);
    service.until("the end of the alert", || receiver.count(DIVERGENCE.0, DIVERGENCE.1).1 > 0);
    kill_now_and_then(&mut service, 2);
    let before = service.ask("SELECT COUNT(*) FROM runs WHERE verdict = 'identical'");
    service.until("further checks", || {
        service.ask("SELECT COUNT(*) FROM runs WHERE verdict = 'identical'") > before + 1
    });
    assert_eq!(receiver.count(DIVERGENCE.0, DIVERGENCE.1), (1, 1), "{:?}", receiver.told.lock().unwrap());
    assert!(kills == 11, "{kills}");
    assert_eq!(
        service.ask("SELECT COUNT(*) FROM alerts WHERE ended_at IS NULL AND name = 'MasterDataDivergence'"),
        0
    );
    account_for_minutes(&service);
}

#[test]
fn a_bundled_pair_is_watched_and_one_alert_comes_and_goes() {
    let cluster = Cluster::start(2);
    table(&cluster);
    finds_tells_and_ends(&cluster);
}

#[test]
fn a_scheduled_repair_within_its_cap_mends_and_beyond_it_tells() {
    let cluster = Cluster::start(2);
    table(&cluster);
    let receiver = Receiver::start();
    let text = every_minute(&receiver)
        .replace("[[alert]]", "policy = \"prefer=n1\"\nrepair = \"execute\"\nmax_rows = 2\n[[alert]]");
    cluster.corrupt(2, &["UPDATE shop.orders SET amount = 0 WHERE id = 7"]);
    let service = Service::start(&cluster, &text, 20);
    service.until("the end of the alert", || receiver.count("MasterDataDivergence", "shop.orders") == (1, 1));
    assert_eq!(service.ask("SELECT COUNT(*) FROM runs WHERE kind = 'sync' AND verdict = 'identical'"), 1);
    cluster.until(2, "SELECT amount FROM shop.orders WHERE id = 7", "7.50");
    let wrong: Vec<String> =
        (20..23).map(|id| format!("UPDATE shop.orders SET amount = 0 WHERE id = {id}")).collect();
    cluster.corrupt(2, &wrong.iter().map(String::as_str).collect::<Vec<_>>());
    service.until("a repair that is refused", || receiver.count("RepairAborted", "minutely").0 > 0);
    cluster.until(2, "SELECT COUNT(*) FROM shop.orders WHERE amount = 0", "3");
    account_for_minutes(&service);
}

#[test]
fn a_run_that_takes_too_long_is_stopped_and_a_switch_hears_of_each() {
    let cluster = Cluster::start(2);
    table(&cluster);
    let receiver = Receiver::start();
    let slow = format!(
        "intensity = 0.01\nmax_duration = \"30s\"\nheartbeat = \"http://127.0.0.1:{}/beat\"\n[[alert]]",
        receiver.port
    );
    let text = every_minute(&receiver).replace("[[alert]]", &slow);
    let service = Service::start(&cluster, &format!("{text}[check]\nchunk_rows = 20\n"), 20);
    service.until("a run that is stopped", || receiver.count("ConsistencyCheckIncomplete", "minutely").0 > 0);
    let stopped =
        "SELECT COUNT(*) FROM runs WHERE stopped LIKE '%as long as its schedule allows' AND status = 'ended'";
    assert!(service.ask(stopped) > 0);
    let (code, out, _) = said(&cluster.evensum_plain(&[
        "run",
        "show",
        "last",
        "--state",
        cluster.path("state").to_str().unwrap(),
    ]));
    assert!(code == 0 && out.contains("schedule minutely"), "{out}");
    // a person may stop one too
    service.until("a run at work", || service.ask("SELECT COUNT(*) FROM progress") > 0);
    let (code, _, err) = said(&cluster.evensum(&["run", "stop", "last"]));
    assert!(code == 0 && err.contains("is told to stop"), "{err}");
    let heard = |end: &str| {
        receiver.paths.lock().unwrap().iter().any(|path| path.starts_with(end) && path.contains("rid="))
    };
    service.until("the switch hears of a beginning", || heard("/beat/start"));
    // a check that was asked to stop ends with code 2
    service.until("the switch hears of an end", || heard("/beat/2") || heard("/beat/130"));
}

#[test]
fn a_plan_of_the_night_waits_for_approval_and_what_is_hidden_stays_wrong() {
    let cluster = Cluster::start(2);
    table(&cluster);
    let receiver = Receiver::start();
    let planned = "policy = \"prefer=n1\"\nrepair = \"plan\"\n[[alert]]";
    cluster.corrupt(2, &["UPDATE shop.orders SET amount = 0 WHERE id = 7"]);
    let mut service = Service::start(&cluster, &every_minute(&receiver).replace("[[alert]]", planned), 20);
    let state = cluster.path("state").display().to_string();
    service.until("a plan", || {
        service.ask("SELECT COUNT(*) FROM runs WHERE verdict = 'planned' AND digested = 1") > 0
    });
    let plans = || std::fs::read_dir(cluster.path("state/plans")).unwrap().count();
    assert!(plans() > 0, "a plan that nobody could approve");
    cluster.until(2, "SELECT amount FROM shop.orders WHERE id = 7", "0.00");
    // a check of some rows, or of other nodes, clears nothing
    let open = |service: &Service<'_>| {
        service.ask("SELECT COUNT(*) FROM alerts WHERE name = 'MasterDataDivergence' AND ended_at IS NULL")
    };
    service.kill();
    let (code, _, err) = said(&cluster.evensum(&["check", "--tables", "shop.*", "--where", "id > 100"]));
    assert_eq!(code, 0, "{err}");
    // the table goes, but the alert does not before somebody says so
    cluster.run(1, "DROP TABLE shop.orders");
    cluster.run(1, "CREATE TABLE shop.others (id INT NOT NULL PRIMARY KEY)");
    cluster.settle();
    service.restart();
    let whole = "SELECT COUNT(*) FROM tables WHERE name = 'shop.others' AND verdict = 'identical'";
    service.until("a check without the table", || service.ask(whole) > 0);
    let skipped = "SELECT COUNT(*) FROM tables WHERE name = 'shop.orders' AND verdict = 'skipped'";
    service.until("the table is missed", || service.ask(skipped) == 1);
    assert_eq!(open(&service), 1, "what nobody lists is not known to be mended");
    let (code, out, err) = said(&cluster.evensum(&["table", "forget", "shop.orders", "--state", &state]));
    assert_eq!((code, open(&service)), (0, 0), "{out}{err}");
    service.until("the end is told", || receiver.count("MasterDataDivergence", "shop.orders") == (1, 1));
}

#[test]
fn a_check_whose_window_closes_makes_room_for_others() {
    let cluster = Cluster::start(2);
    table(&cluster);
    let receiver = Receiver::start();
    // time begins now, and a window of a few minutes closes within seconds
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 60 % 1_440;
    let hour = |minutes: u64| format!("{:02}:{:02}", minutes / 60 % 24, minutes % 60);
    let window =
        format!("window = \"{}-{}\"\nintensity = 0.01\n[[schedule]]", hour(now + 1_438), hour(now + 3));
    let slow =
        format!("[[schedule]]\nname = \"slow\"\ncron = \"* * * * *\"\ntables = [\"shop.*\"]\n{window}");
    let text = every_minute(&receiver).replacen("[[schedule]]", &slow, 1);
    let service = Service::start(&cluster, &format!("{text}[check]\nchunk_rows = 5\n"), 20);
    let waits = "SELECT COUNT(*) FROM runs WHERE schedule = 'slow' AND status = 'queued'";
    service.until("the slow one begins", || service.ask("SELECT COUNT(*) FROM checkpoints") > 0);
    service.until("it waits for its window", || service.log().contains("pauses until its window opens"));
    service.until("it waits", || service.ask(waits) == 1);
    let others = "SELECT COUNT(*) FROM runs WHERE schedule = 'minutely' AND verdict = 'identical'";
    let before = service.ask(others);
    service.until("others go on", || service.ask(others) > before + 1);
    assert_eq!(service.ask(waits), 1);
}

/// What a process holds in memory, in kB.
fn resident_kb(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn bytes_of(cluster: &Cluster) -> u64 {
    ["runs.sqlite", "runs.sqlite-wal"]
        .iter()
        .filter_map(|name| std::fs::metadata(cluster.path("state").join(name)).ok())
        .map(|file| file.len())
        .sum()
}

#[test]
fn a_service_that_is_left_alone_for_long_stays_small_and_accounts_for_every_minute() {
    let runs = if full() { 1_000 } else { 100 };
    let mut cluster = Cluster::start(2);
    table(&cluster);
    let receiver = Receiver::start();
    let text = every_minute(&receiver);
    let (mut gone, mut refused, mut early) = (0, 0, None);
    // the nodes are killed and begun again while the service looks at them, which borrows the cluster: a second one of the same ports
    let ports = [cluster.port(1), cluster.port(2)];
    let beside = Cluster::beside(tempfile::tempdir().unwrap(), &ports);
    let service = Service::start(&beside, &text, 100);
    let ended = |service: &Service<'_>| {
        service.ask("SELECT SUM(value) FROM counters WHERE name = 'evensum_check_runs_total'")
    };
    let start = Instant::now();
    let mut round = 0;
    while ended(&service) < runs {
        assert!(start.elapsed() < WAIT * 15, "{} of {runs} runs\n{}", ended(&service), service.log());
        round += 1;
        std::thread::sleep(Duration::from_secs(3));
        match round % 4 {
            1 => {
                cluster.kill(2);
                gone += 1;
                service.until("somebody is told that a node is gone", || {
                    service.ask(
                        "SELECT COUNT(*) FROM alerts WHERE name = 'MasterUnreachable' AND ended_at IS NULL",
                    ) > 0
                });
                cluster.restart(2);
            }
            2 => {
                receiver.failing.store(true, Ordering::Relaxed);
                let wrong = if round % 8 == 2 { "0" } else { "7.5" };
                cluster.corrupt(2, &[&format!("UPDATE shop.orders SET amount = {wrong} WHERE id = 7")]);
            }
            3 => {
                refused = receiver.failed.load(Ordering::Relaxed);
                receiver.failing.store(false, Ordering::Relaxed);
            }
            _ => {}
        }
        if early.is_none() && ended(&service) >= runs / 4 {
            early = Some((resident_kb(service.process()), bytes_of(&beside)));
        }
    }
    receiver.failing.store(false, Ordering::Relaxed);
    account_for_minutes(&service);
    // every start became a run that has ended and was counted, or is still open
    let kept = "SELECT starts - (SELECT SUM(value) FROM counters WHERE name = 'evensum_check_runs_total')
                - (SELECT COUNT(*) FROM runs WHERE digested = 0 AND schedule = 'minutely') FROM schedules";
    assert_eq!(service.ask(kept), 0, "runs of which nothing is known\n{}", service.log());
    let (memory, bytes) = early.unwrap();
    let now = (resident_kb(service.process()), bytes_of(&beside));
    println!(
        "{runs} runs, {gone} times a node was gone, {refused} messages refused; memory {memory} and {} kB, state {bytes} and {} bytes",
        now.0, now.1
    );
    assert!(gone > 0 && refused > 0, "{gone} {refused}");
    assert!(now.0 < memory * 3 / 2 && now.1 < bytes * 2, "{memory} {bytes} {now:?}");
    let (fired, over) = receiver.count("MasterDataDivergence", "shop.orders");
    assert!(fired > 0 && fired <= over + 1, "{fired} {over}");
}
