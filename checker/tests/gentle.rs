//! Gentle runs over the model: lanes, parts that are kept, runs that go on, and readings that take too long.
//!
//! What is held to: however a run was cut to pieces, its report is that of a run that went straight through. Every seed can be run
//! again: `EVENSUM_SEED=7 cargo test -p checker`.

#![allow(clippy::expect_used, reason = "a test stops at its first surprise")]

use checker::pace::RETRIES_MAX;
use checker::{
    Checkpoint, ChunkSize, Course, Crew, Forgetful, Gate, Keeper, KeptLeaf, KeptTable, Lane, Manners, Member,
    Options, Part, Report, Selection, Silent, Stop, Verdict, check_gently,
};
use database::memory::{Cluster, Connection};
use database::{Chunk, Column, Digest, Error, Key, Kind, Pin, Position, Reader, Result, Row, Rows, RowsOf};
use database::{Table, Value};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const NODES: usize = 2;

fn table(name: &str, definition: &str) -> Table {
    let column = |name: &str| Column {
        name: name.into(),
        definition: definition.into(),
        kind: Kind::Integer,
        generated: false,
        restamped: false,
    };
    Table {
        database: "shop".into(),
        name: name.into(),
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

/// Nodes with these tables, of so many rows each, equal but for every row of the second node whose id is a multiple of `wrong`.
fn world(tables: &[(&str, u64)], wrong: u64) -> Cluster {
    let cluster = Cluster::ring(NODES);
    for (name, rows) in tables {
        let table = table(name, "int");
        for node in 0..NODES {
            cluster.define(node, &table);
            for id in 0..*rows {
                let n = if node == 1 && id % wrong == 1 { 7 } else { id };
                cluster.corrupt(node, &table, &key(id), Some(&row(id, n)));
            }
        }
    }
    cluster
}

/// Carries what is written from node to node until the run is over.
fn replicate(cluster: &Cluster) -> tokio::task::JoinHandle<()> {
    let cluster = cluster.clone();
    tokio::spawn(async move {
        loop {
            cluster.deliver_all();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
}

/// One run, and its report without what two runs may differ in.
async fn run<R: Reader + 'static>(
    cluster: &Cluster,
    reader: impl Fn(usize) -> R,
    lanes: usize,
    rows: u64,
    keeper: &dyn Keeper,
    checkpoint: Checkpoint,
) -> Result<(Report, Course)> {
    static RUNS: AtomicU64 = AtomicU64::new(0);
    let members = (0..NODES)
        .map(|n| Member { name: format!("n{n}").into(), reader: reader(n), ledger: cluster.connect(n) })
        .collect();
    let further =
        (1..lanes).map(|_| Lane { readers: (0..NODES).map(&reader).collect(), scout: reader(0) }).collect();
    let crew = Crew { members, scout: reader(0), lanes: further };
    let options = Options {
        run: format!("gentle{}", RUNS.fetch_add(1, Ordering::Relaxed)).into(),
        selection: Selection::default(),
        settle_bound: Duration::from_secs(20),
    };
    let (gate, size) = (Gate::new(), ChunkSize::Rows(rows));
    let manners = Manners { size, intensity: 1.0, digests: false, gate: &gate, keeper, checkpoint };
    let carrier = replicate(cluster);
    let report = check_gently(crew, &options, manners, &Silent, &Stop::new()).await;
    carrier.abort();
    let mut report = report?;
    (report.run, report.elapsed) = ("".into(), Duration::ZERO);
    let course = std::mem::take(&mut report.course);
    Ok((report, course))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_does_not_depend_on_the_number_of_lanes() {
    let cluster = world(&[("a", 9_000), ("b", 900), ("c", 0), ("d", 2_500), ("e", 1)], 200);
    let run_in = async |lanes: usize, estimate: Option<u64>| {
        let reader = |n| Slow { estimate, ..slow(&cluster, n, u64::MAX) };
        run(&cluster, reader, lanes, 50, &Forgetful, Checkpoint::default()).await.expect("a run").0
    };
    let one = run_in(1, None).await;
    assert_eq!((one.verdict(), one.divergences.len(), one.tables.len()), (Verdict::Different, 63, 5));
    assert_eq!(one.tables.iter().map(|table| table.chunks).collect::<Vec<_>>(), [180, 18, 1, 50, 1]);
    // where the nodes say that all tables are large, several lanes read the chunks of each
    let large = run_in(1, Some(1_000_000)).await;
    for lanes in [2, 5] {
        assert!(run_in(lanes, None).await == one, "{lanes} lanes, side by side");
        assert!(run_in(lanes, Some(1_000_000)).await == large, "{lanes} lanes, one table");
    }
}

/// A part, as it was kept.
#[derive(Clone, Debug)]
struct Kept {
    table: String,
    definition: String,
    leaves: Vec<KeptLeaf>,
    next: Option<Key>,
}

#[derive(Debug, Default)]
struct Notebook(Mutex<Vec<Kept>>);

impl Keeper for Notebook {
    fn keep(&self, part: Part<'_>) {
        let (table, definition) = (part.table.to_string(), part.table.definition());
        let (leaves, next) = (part.leaves.to_vec(), part.next.cloned());
        self.0.lock().expect("no panic").push(Kept { table, definition, leaves, next });
    }
}

/// What a run that was killed after so many parts has left.
fn checkpoint(parts: &[Kept]) -> Checkpoint {
    let mut checkpoint = Checkpoint::default();
    for Kept { table, definition, leaves, next } in parts.iter().cloned() {
        let kept = checkpoint.tables.entry(table).or_insert_with(KeptTable::default);
        kept.definition = definition;
        kept.leaves.extend(leaves);
        kept.next = next;
    }
    checkpoint
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_killed_after_any_part_goes_on_to_the_same_report() {
    let cluster = world(&[("a", 2_200), ("b", 5), ("c", 3_000), ("d", 0)], 100);
    let reader = |n| cluster.connect(n);
    let notebook = Notebook::default();
    let (through, course) =
        run(&cluster, reader, 2, 7, &notebook, Checkpoint::default()).await.expect("a run");
    assert_eq!((through.divergences.len(), course.chunks_resumed), (53, 0));
    let parts = notebook.0.lock().expect("no panic").clone();
    assert!(parts.len() >= 8, "{} parts", parts.len());
    for killed_after in 0..=parts.len() {
        let (read, kept) = (Notebook::default(), checkpoint(&parts[..killed_after]));
        let (resumed, course) =
            run(&cluster, reader, 1 + killed_after % 3, 7, &read, kept).await.expect("a run");
        assert!(resumed == through, "after {killed_after} parts: {resumed:?}");
        let leaves = |parts: &[Kept]| parts.iter().map(|part| part.leaves.len() as u64).sum::<u64>();
        assert_eq!(course.chunks_resumed, leaves(&parts[..killed_after]));
        // nothing that was kept is read again
        let read = read.0.lock().expect("no panic");
        assert_eq!(leaves(&read) + course.chunks_resumed, leaves(&parts), "after {killed_after} parts");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_kept_of_a_table_that_is_defined_anew_is_not_believed() {
    let cluster = world(&[("a", 2_200)], 100);
    let reader = |n| cluster.connect(n);
    let (through, _) = run(&cluster, reader, 1, 7, &Forgetful, Checkpoint::default()).await.expect("a run");
    let leaf = KeptLeaf { digests: vec![Digest { rows: 1, hash: [0; 32] }; NODES], located: None };
    let kept = |definition: String, leaf: &KeptLeaf| {
        let table = KeptTable { definition, leaves: vec![leaf.clone()], next: None };
        Checkpoint { tables: [("shop.a".to_owned(), table)].into() }
    };
    let three = KeptLeaf { digests: vec![leaf.digests[0]; 3], ..leaf.clone() };
    for wrong in
        [kept(table("a", "bigint").definition(), &leaf), kept(table("a", "int").definition(), &three)]
    {
        let (report, course) = run(&cluster, reader, 1, 7, &Forgetful, wrong).await.expect("a run");
        assert!(report == through && course.chunks_resumed == 0);
    }
    // and what is as it was, is
    let right = kept(table("a", "int").definition(), &leaf);
    let (report, course) = run(&cluster, reader, 1, 7, &Forgetful, right).await.expect("a run");
    assert_eq!((report.tables[0].rows, course.chunks_resumed), (1, 1));
}

/// A node on which a reading of more than so many rows takes longer than a statement may.
struct Slow {
    node: Connection,
    rows_max: u64,
    ended: Arc<AtomicU64>,
    /// How many rows it says its tables have.
    estimate: Option<u64>,
}

/// Node `n`, where the first one is slow.
fn slow(cluster: &Cluster, n: usize, rows_max: u64) -> Slow {
    let rows_max = if n == 0 { rows_max } else { u64::MAX };
    Slow { node: cluster.connect(n), rows_max, ended: Arc::default(), estimate: None }
}

impl Slow {
    fn bound<T>(&self, rows: u64) -> Result<T> {
        self.ended.fetch_add(1, Ordering::Relaxed);
        let reason = format!("reading {rows} rows: too slow (error 1969)");
        Err(Error::Bound { node: "n0".into(), reason })
    }
}

impl Reader for Slow {
    async fn tables(&mut self) -> Result<Vec<Table>> {
        let mut tables = self.node.tables().await?;
        tables
            .iter_mut()
            .for_each(|table| table.rows_estimate = self.estimate.unwrap_or(table.rows_estimate));
        Ok(tables)
    }
    async fn position(&mut self) -> Result<Position> {
        self.node.position().await
    }
    async fn boundary(&mut self, chunk: &Chunk, rows: u64) -> Result<Option<Key>> {
        // a boundary is found in an index, ten times as fast
        if rows > self.rows_max.saturating_mul(10) {
            self.bound(rows)
        } else {
            self.node.boundary(chunk, rows).await
        }
    }
    async fn digests(&mut self, chunks: &[Chunk]) -> Result<Option<Vec<Digest>>> {
        self.node.digests(chunks).await
    }
    fn makes_digests(&self) -> bool {
        self.node.makes_digests()
    }
    async fn rows(&mut self, chunk: &Chunk, limit: u64) -> Result<Rows> {
        let rows = self.node.rows(chunk, limit).await?;
        let count = rows.len() as u64;
        if count > self.rows_max { self.bound(count) } else { Ok(rows) }
    }
    async fn rows_by_key(&mut self, table: &Table, keys: &[Key]) -> Result<Vec<Option<Row>>> {
        self.node.rows_by_key(table, keys).await
    }
    async fn pin(&mut self, rows: &[RowsOf<'_>]) -> Result<Pin> {
        self.node.pin(rows).await
    }
    async fn still(&mut self, rows: &[RowsOf<'_>], pin: &Pin) -> Result<Vec<bool>> {
        self.node.still(rows, pin).await
    }
    async fn received_only(&mut self, rows: &[RowsOf<'_>], pin: &Pin) -> Result<Vec<bool>> {
        self.node.received_only(rows, pin).await
    }
    fn pins_lock(&self) -> bool {
        self.node.pins_lock()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reading_that_takes_too_long_is_made_again_in_smaller_pieces() {
    let cluster = world(&[("a", 3_000)], 500);
    let ended = Arc::new(AtomicU64::new(0));
    let slow = |rows_max| {
        let (cluster, ended) = (&cluster, &ended);
        move |n: usize| Slow { ended: ended.clone(), ..slow(cluster, n, rows_max) }
    };
    for (rows_max, retried) in [(u64::MAX, 0..=0), (300, 1..=9), (60, 0..=9)] {
        let (report, course) =
            run(&cluster, slow(rows_max), 1, 1_000, &Forgetful, Checkpoint::default()).await.expect("a run");
        assert_eq!((report.divergences.len(), report.tables[0].rows), (6, 3_000));
        assert!(retried.contains(&course.chunks_retried), "{rows_max}: {course:?}");
    }
    assert!(ended.swap(0, Ordering::Relaxed) >= 2);
    // where not even two rows can be read, it ends after a few attempts, and says what it tried
    let error = run(&cluster, slow(1), 1, 10, &Forgetful, Checkpoint::default()).await.expect_err("too slow");
    let text = error.to_string();
    assert!(matches!(error, Error::Bound { .. }), "{text}");
    assert!(text.contains(&format!("tried again {RETRIES_MAX} times")) && text.contains("1969"), "{text}");
}
