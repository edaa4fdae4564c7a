//! Guarded repairs against a cluster in memory whose nodes go on being written to.
//!
//! The world beside the repair is hostile: every node writes rows that it owns, **also the rows that are being mended**, and
//! links carry entries one by one, at random. At the end everything is carried, and then: every node holds the same; and
//! each row is what its owner wrote last, so no write was lost or turned back. Seeds replay with `EVENSUM_SEED`.

#![allow(clippy::expect_used, clippy::panic, reason = "a test stops at its first surprise")]

use checker::{Gate, Member as Checked, Report, Selection, Silent, Stop, Verdict, check};
use database::memory::Cluster;
use database::{Column, Key, Kind, Mending, Row, Table, Value};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use syncer::{
    Decision, Journal, Manners, Member, Options, PlannedNode, Policy, Summary, execute, make_plan, undo_plan,
};

const ROWS: u64 = 240;

fn manners<'a>(gate: &'a Gate, stop: &'a Stop) -> Manners<'a> {
    Manners { gate, intensity: 1.0, pauses: &Silent, done: &|_| (), stop }
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % bound
    }
}

fn small(n: u64) -> usize {
    usize::try_from(n).expect("small")
}

fn table() -> Table {
    let column = |name: &str| Column {
        name: name.into(),
        definition: "int".into(),
        kind: Kind::Integer,
        generated: false,
        restamped: false,
    };
    Table {
        database: "shop".into(),
        name: "stock".into(),
        columns: vec![column("id"), column("n")],
        key: vec![0],
        key_name: "PRIMARY".into(),
        rows_estimate: 0,
        filter: None,
    }
}

fn key(id: u64) -> Key {
    Key::new(&[Value::Int(id.cast_signed())])
}

fn row(id: u64, n: u64) -> Row {
    Row::new(&[Value::Int(id.cast_signed()), Value::Int(n.cast_signed())])
}

/// What each row's owner acknowledged last.
type Acknowledged = Arc<Mutex<BTreeMap<u64, Option<u64>>>>;

struct World {
    cluster: Cluster,
    nodes: usize,
    acknowledged: Acknowledged,
    over: Arc<AtomicBool>,
    writes: Arc<AtomicU64>,
}

impl World {
    fn new(nodes: usize) -> World {
        let (cluster, table) = (Cluster::ring(nodes), table());
        let acknowledged = Acknowledged::default();
        (0..nodes).for_each(|node| cluster.define(node, &table));
        for id in 0..ROWS {
            cluster.write(small(id) % nodes, &table, &key(id), Some(row(id, id)));
            acknowledged.lock().unwrap_or_else(PoisonError::into_inner).insert(id, Some(id));
        }
        cluster.deliver_all();
        World { cluster, nodes, acknowledged, over: Arc::default(), writes: Arc::default() }
    }

    /// Every node wrongs rows that other nodes own: changed, missing and extra.
    fn plant(&self, random: &mut Random, count: u64) {
        let mut acknowledged = self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
        for n in 0..count {
            let id = random.below(ROWS);
            let owner = small(id) % self.nodes;
            let victim = (owner + 1 + small(random.below(self.nodes as u64 - 1))) % self.nodes;
            let wrong = match n % 3 {
                // from the few contents that the owners write, so that what is expected comes and goes
                0 => Some(row(id, n % 4)),
                1 => None,
                _ => {
                    let extra = ROWS + id;
                    let victim = (small(extra) % self.nodes + 1) % self.nodes;
                    self.cluster.corrupt(victim, &table(), &key(extra), Some(&row(extra, 7)));
                    acknowledged.insert(extra, None);
                    continue;
                }
            };
            self.cluster.corrupt(victim, &table(), &key(id), wrong.as_ref());
        }
    }

    /// Writes and deliveries on a thread of their own, until over.
    fn run(&self, seed: u64) -> std::thread::JoinHandle<()> {
        let World { cluster, nodes, acknowledged, over, writes } = self;
        let (cluster, nodes, acknowledged) = (cluster.clone(), *nodes, acknowledged.clone());
        let (over, writes) = (over.clone(), writes.clone());
        std::thread::spawn(move || {
            let (table, mut random) = (table(), Random(seed | 1));
            while !over.load(Ordering::Relaxed) {
                for _ in 0..random.below(3) {
                    let id = random.below(ROWS);
                    let n = (random.below(6) > 0).then(|| random.below(3));
                    let mut acknowledged = acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
                    cluster.write(small(id) % nodes, &table, &key(id), n.map(|n| row(id, n)));
                    acknowledged.insert(id, n);
                    writes.fetch_add(1, Ordering::Relaxed);
                }
                for _ in 0..random.below(10) {
                    cluster.deliver(small(random.below(cluster.links() as u64)));
                }
                std::thread::sleep(Duration::from_micros(random.below(400)));
            }
        })
    }

    async fn check(&self, run: &str) -> Report {
        let members = (0..self.nodes)
            .map(|n| Checked {
                name: format!("n{}", n + 1).into(),
                reader: self.cluster.connect(n),
                ledger: self.cluster.connect(n),
            })
            .collect();
        let options = checker::Options {
            run: run.into(),
            selection: Selection::default(),
            settle_bound: Duration::from_secs(20),
        };
        check(members, self.cluster.connect(0), &options, &Silent, &Stop::new()).await.expect("memory")
    }

    fn planned_nodes(&self) -> Vec<PlannedNode> {
        (1..=self.nodes)
            .map(|n| PlannedNode { name: format!("n{n}").into(), identity: format!("id{n}").into() })
            .collect()
    }

    async fn execute(&self, plan: &syncer::Plan, journal: &mut Journal, run: &str) -> Summary {
        let members = (0..self.nodes)
            .map(|n| Member {
                name: format!("n{}", n + 1).into(),
                identity: format!("id{}", n + 1).into(),
                writer: self.cluster.connect(n),
                ledger: self.cluster.connect(n),
            })
            .collect();
        let options = Options { run: run.into(), settle_bound: Duration::from_secs(20) };
        execute(plan, members, journal, &options, manners(&Gate::new(), &Stop::new())).await.expect("memory")
    }

    /// A row must be what its owner acknowledged last.
    fn is_as_acknowledged(&self, node: usize, key: &Key, seed: u64) {
        let Some(Value::Int(id)) = key.values().into_iter().next() else { panic!("no id") };
        let id = id.cast_unsigned();
        let acknowledged = self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = acknowledged.get(&id).copied().flatten().map(|n| row(id, n));
        assert_eq!(
            self.contents(node).get(key),
            wanted.as_ref(),
            "n{} id {id} EVENSUM_SEED={seed}",
            node + 1
        );
    }

    fn contents(&self, node: usize) -> BTreeMap<Key, Row> {
        self.cluster.contents(node, &table())
    }
}

/// The owner's version wins: the rule under which "no write is lost" can be checked to the letter.
fn owner_wins(nodes: usize) -> impl FnMut(&checker::Divergence) -> Decision {
    move |divergence| {
        let Some(Value::Int(id)) = divergence.key.values().into_iter().next() else { panic!("no id") };
        let owner = usize::try_from(id).expect("small") % nodes + 1;
        Policy::Prefer(format!("n{owner}").into()).decide(divergence)
    }
}

async fn mend_under_fire(nodes: usize, seed: u64) -> (u64, usize, usize) {
    let (world, mut random) = (World::new(nodes), Random(seed.wrapping_mul(31) | 1));
    world.plant(&mut random, 60);
    let beside = world.run(seed);
    let folder = tempfile::tempdir().expect("a folder");
    let (mut mended, mut moved) = (0, 0);
    let mut made = Vec::new();
    for round in 0..4 {
        let report = world.check(&format!("c{seed}-{round}")).await;
        let plan = make_plan(&report, &world.planned_nodes(), &[], owner_wins(nodes));
        // a plan may be old when it is carried out
        tokio::time::sleep(Duration::from_millis(random.below(30))).await;
        let path = folder.path().join(format!("{round}.journal"));
        let mut journal = Journal::create(&path, &report.run, &plan.nodes).expect("a journal");
        let summary = world.execute(&plan, &mut journal, &format!("s{seed}-{round}")).await;
        mended += summary.count(|outcome| *outcome == Mending::Mended);
        moved += summary.count(|outcome| *outcome == Mending::Moved);
        made.extend(summary.steps.into_iter().filter(|step| step.outcome == Mending::Mended));
    }
    world.over.store(true, Ordering::Relaxed);
    beside.join().expect("the world ends");
    world.cluster.deliver_all();
    for mended in &made {
        let node = (0..nodes).find(|n| format!("n{}", n + 1) == *mended.step.node).expect("a node");
        world.is_as_acknowledged(node, &mended.step.key, seed);
    }
    // one more, now that it is quiet, for what moved every time
    let carrier = {
        let (cluster, over) = (world.cluster.clone(), Arc::new(AtomicBool::new(false)));
        let flag = over.clone();
        (
            std::thread::spawn(move || {
                while !flag.load(Ordering::Relaxed) {
                    cluster.deliver_all()
                }
            }),
            over,
        )
    };
    let report = world.check(&format!("c{seed}-last")).await;
    let plan = make_plan(&report, &world.planned_nodes(), &[], owner_wins(nodes));
    let mut journal = Journal::create(&folder.path().join("last"), "last", &plan.nodes).expect("a journal");
    let last = world.execute(&plan, &mut journal, &format!("s{seed}-last")).await;
    mended += last.count(|outcome| *outcome == Mending::Mended);
    assert_eq!(world.check(&format!("c{seed}-proof")).await.verdict(), Verdict::Identical);
    carrier.1.store(true, Ordering::Relaxed);
    carrier.0.join().expect("the carrier ends");
    world.cluster.deliver_all();
    let ids: Vec<u64> =
        world.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).keys().copied().collect();
    for node in 0..nodes {
        ids.iter().for_each(|&id| world.is_as_acknowledged(node, &key(id), seed));
    }
    (world.writes.load(Ordering::Relaxed), mended, moved)
}

fn seeds(count: u64) -> Vec<u64> {
    match std::env::var("EVENSUM_SEED") {
        Ok(seed) => vec![seed.parse().expect("EVENSUM_SEED is a number")],
        Err(_) => (1..=count).collect(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_mended_under_fire_and_no_write_is_lost() {
    let (mut writes, mut mended, mut moved) = (0, 0, 0);
    for seed in seeds(8) {
        for nodes in [2, 3] {
            let (w, d, v) = mend_under_fire(nodes, seed).await;
            (writes, mended, moved) = (writes + w, mended + d, moved + v);
        }
    }
    assert!(writes > 1_000, "only {writes} writes ran beside the repairs");
    assert!(mended > 100, "only {mended} rows were mended");
    assert!(moved > 0, "no row ever moved under a repair, so the guard was not tested");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repair_is_undone_to_the_byte_and_only_where_nobody_wrote_since() {
    let world = World::new(2);
    world.plant(&mut Random(5), 30);
    let carrier = {
        let (cluster, over) = (world.cluster.clone(), world.over.clone());
        std::thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                cluster.deliver_all()
            }
        })
    };
    let before = [world.contents(0), world.contents(1)];
    let report = world.check("c").await;
    let plan = make_plan(&report, &world.planned_nodes(), &[], owner_wins(2));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("s.journal");
    let mut journal = Journal::create(&path, "s", &plan.nodes).expect("a journal");
    let logs = [world.cluster.log_length(0), world.cluster.log_length(1)];
    let summary = world.execute(&plan, &mut journal, "s").await;
    assert_eq!(summary.count(|outcome| *outcome == Mending::Mended), plan.steps.len());
    assert_eq!(world.contents(0), world.contents(1));
    assert!(plan.steps.len() > 10 && logs[0] > 0);
    drop(journal);
    let undo = undo_plan(&Journal::open(&path).expect("the journal"), &[]);
    let touched = undo.steps[0].clone();
    let here = usize::from(touched.node.as_ref() == "n2");
    world.cluster.write(here, &table(), &touched.key, Some(Row::new(&[Value::Int(-1), Value::Int(-1)])));
    world.cluster.deliver_all();
    let mut journal = Journal::create(&folder.path().join("u.journal"), "u", &undo.nodes).expect("a journal");
    let undone = world.execute(&undo, &mut journal, "u").await;
    assert_eq!(undone.steps[0].outcome, Mending::Moved, "a row that was written since is not undone");
    assert_eq!(undone.count(|outcome| *outcome == Mending::Mended), undo.steps.len() - 1);
    for (node, before) in before.iter().enumerate() {
        let (mut now, mut before) = (world.contents(node), before.clone());
        now.remove(&touched.key);
        before.remove(&touched.key);
        assert_eq!(now, before, "n{}", node + 1);
    }
    world.over.store(true, Ordering::Relaxed);
    carrier.join().expect("the carrier ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_for_another_server_and_a_plan_that_was_changed_are_refused() {
    let world = World::new(2);
    world.plant(&mut Random(9), 6);
    let mut nodes = world.planned_nodes();
    let carrier = {
        let (cluster, over) = (world.cluster.clone(), world.over.clone());
        std::thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                cluster.deliver_all()
            }
        })
    };
    nodes[1].identity = "somebody else".into();
    let plan = make_plan(&world.check("c").await, &nodes, &[], owner_wins(2));
    let before = [world.contents(0), world.contents(1)];
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("plan");
    plan.save(&path).expect("saved");
    assert_eq!(syncer::Plan::load(&path).expect("loaded"), plan);
    let text = std::fs::read_to_string(&path).expect("text").replace("somebody else", "somebody new");
    std::fs::write(&path, text).expect("written");
    assert!(matches!(syncer::Plan::load(&path), Err(syncer::PlanError::Damaged)));
    let mut journal = Journal::create(&folder.path().join("j"), "s", &plan.nodes).expect("a journal");
    let members = (0..2)
        .map(|n| Member {
            name: format!("n{}", n + 1).into(),
            identity: format!("id{}", n + 1).into(),
            writer: world.cluster.connect(n),
            ledger: world.cluster.connect(n),
        })
        .collect();
    let options = Options { run: "s".into(), settle_bound: Duration::from_secs(1) };
    let refused = execute(&plan, members, &mut journal, &options, manners(&Gate::new(), &Stop::new())).await;
    assert!(matches!(refused, Err(syncer::ExecuteError::Identity { .. })));
    assert_eq!(before, [world.contents(0), world.contents(1)]);
    world.over.store(true, Ordering::Relaxed);
    carrier.join().expect("the carrier ends");
}
