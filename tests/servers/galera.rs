//! A Galera cluster of three nodes: what is checked, what is found, and that a repair is refused.
//!
//! The nodes join by a full copy (rsync) of the first one, which works for every user who runs the tests.

use super::server::{Program, Server};
use crate::cluster::{Cluster, POLL, WAIT};
use crate::commands::said;
use crate::live::{found, live_check, plant};
use crate::ports::free_port;
use crate::workload::{Random, Workload, create_tables, full, seeds};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Instant;

const PROVIDERS: [&str; 2] = ["/usr/lib/galera/libgalera_smm.so", "/usr/lib/libgalera_smm.so"];
const NODES: usize = 3;
const COLD_ROWS: u64 = 2_000;
const PLANTED: u64 = 40;
/// Transactions a second that are asked of the writers. Each node waits for all others at each commit, so how many are made
/// depends on the machine.
const RATE: u64 = 1_200;
/// And that must have been made, plainly and with all counts.
const RATE_MIN: [u64; 2] = [300, 1_000];

struct Galera {
    // first, so that nobody writes in the folder when it goes away
    _servers: Vec<Server>,
    cluster: Cluster,
}

fn open_to_all(folder: &Path) {
    // the copy arrives through a daemon that gives up root's rights
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o777)).unwrap();
}

impl Galera {
    /// Starts the cluster, or says that Galera is not installed.
    fn start() -> Option<Galera> {
        let program = Program::mariadb()?;
        let Some(provider) = PROVIDERS.into_iter().find(|path| Path::new(path).exists()) else {
            eprintln!("SKIPPED: galera-4 is not installed; nothing was checked");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        open_to_all(folder.path());
        let first = free_port();
        let mut servers: Vec<Server> = Vec::new();
        for n in 1..=NODES {
            let name = format!("n{n}");
            let listen = if n == 1 { first } else { free_port() };
            let address = if n == 1 { String::new() } else { format!("127.0.0.1:{first}") };
            let more = [
                format!("--server-id={n}"),
                "--log-bin=bin".into(),
                "--log-slave-updates".into(),
                "--binlog-format=ROW".into(),
                "--innodb-autoinc-lock-mode=2".into(),
                "--wsrep-on=ON".into(),
                format!("--wsrep-provider={provider}"),
                format!("--wsrep-cluster-address=gcomm://{address}"),
                "--wsrep-node-address=127.0.0.1".into(),
                format!("--wsrep-node-name={name}"),
                "--wsrep-sst-method=rsync".into(),
                format!("--wsrep-sst-receive-address=127.0.0.1:{}", free_port()),
                format!(
                    "--wsrep-provider-options=gmcast.listen_addr=tcp://127.0.0.1:{listen};\
                     ist.recv_addr=127.0.0.1:{};gcache.size=32M",
                    free_port()
                ),
            ];
            let mut server = if n == 1 {
                let server = Server::start(&program, folder.path(), &name, free_port(), &more);
                // the copy takes its mode along
                open_to_all(&folder.path().join(&name));
                server
            } else {
                std::fs::create_dir(folder.path().join(&name)).unwrap();
                open_to_all(&folder.path().join(&name));
                Server::start_in(&program, folder.path(), &name, free_port(), &more)
            };
            server.ready();
            servers.push(server);
        }
        let ports: Vec<u16> = servers.iter().map(|server| server.port).collect();
        let mut cluster = Cluster::beside(folder, &ports);
        cluster.outside = "SET SESSION wsrep_on = OFF";
        let galera = Galera { _servers: servers, cluster };
        galera.whole();
        Some(galera)
    }

    fn status(&self, n: usize, name: &str) -> String {
        let answer = self.cluster.ask(n, &format!("SHOW GLOBAL STATUS LIKE 'wsrep_{name}'"));
        answer[0][1].clone().unwrap_or_default()
    }

    /// Waits until all nodes are in the cluster and have all of it.
    fn whole(&self) {
        let start = Instant::now();
        for n in 1..=NODES {
            while (self.status(n, "cluster_size"), self.status(n, "local_state_comment"))
                != (NODES.to_string(), "Synced".into())
            {
                assert!(start.elapsed() < WAIT, "n{n}: {}", self.status(n, "local_state_comment"));
                std::thread::sleep(POLL);
            }
        }
    }

    fn check(&self) -> (i32, Value) {
        let (code, out, err) = said(&self.cluster.evensum(&["check", "--tables", "live.*", "--json"]));
        (code, serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out} {err}")))
    }
}

#[test]
fn a_galera_cluster_is_checked_also_beside_writers_and_not_mended() {
    let Some(galera) = Galera::start() else { return };
    let cluster = &galera.cluster;
    create_tables(&mut cluster.session(1), COLD_ROWS);
    cluster.settle();
    let (code, report) = galera.check();
    assert_eq!((code, found(&report).len()), (0, 0), "{report:#}");
    let seed = seeds(1)[0];
    let planted = plant(cluster, &mut Random::new(seed), PLANTED, &(0..COLD_ROWS), 1);
    let (code, report) = galera.check();
    assert_eq!((code, found(&report)), (1, planted.clone()), "EVENSUM_SEED={seed}");

    let contents = || {
        let sql = "SELECT region, id, HEX(name), price, born FROM live.cold ORDER BY region, id";
        (1..=NODES).map(|n| cluster.ask(n, sql)).collect::<Vec<_>>()
    };
    let before = contents();
    let sync = ["sync", "--tables", "live.*", "--policy", "majority"];
    let (code, plan, err) = said(&cluster.evensum(&sync));
    assert_eq!((code, plan.is_empty()), (1, false), "a plan can be made: {err}");
    let execute: Vec<&str> = sync.into_iter().chain(["--execute", "--yes"]).collect();
    let (code, _, err) = said(&cluster.evensum(&execute));
    assert!(code == 4 && err.contains("Galera") && err.contains("othing was changed"), "{code} {err}");
    assert!(contents() == before, "something was changed all the same");

    let ports: Vec<u16> = (1..=NODES).map(|n| cluster.port(n)).collect();
    let mut workload = Workload::start(&ports, RATE, seed);
    let (mut lagging, mut unsettled) = (0, 0);
    let checks = if full() { 200 } else { 5 };
    for _ in 0..checks {
        let (l, u) = live_check(cluster, &planted, &format!("Galera, EVENSUM_SEED={seed}"));
        (lagging, unsettled) = (lagging + l, unsettled + u);
    }
    let (committed, rate) = workload.stop();
    println!(
        "a Galera cluster, EVENSUM_SEED={seed}: {checks} checks beside {committed} transactions ({rate}/s); all of {PLANTED} \
         planted were found each time; {lagging} rows were on their way, {unsettled} unsettled, 0 false"
    );
    assert!(rate >= RATE_MIN[usize::from(full())], "only {rate} transactions a second");
    cluster.settle();
    workload.assert_nothing_lost("Galera");
    galera.whole();
}
