//! What every node has to hold: kept beside the nodes, from what clients were told and what appliers say that they did.
//!
//! The model knows nothing of links and positions. It knows each transaction that was committed anywhere, with its bytes and
//! what it does to the rows, and for each node the order in which it was executed there. From that follow the node's rows, also
//! where writes crossed: the last applied wins, on each node for itself. [`Model::observe`] compares each new entry of a
//! node's log with that at once, [`Model::check`] the whole node.

use super::machine::{SHARED_ROWS, Up, uuid};
use crate::change::Body;
use crate::replication::binlog;
use crate::replication::encoding;
use crate::replication::gtids::{self, EXECUTED, PURGED};
use crate::replication::position::{DATA_POS, LogPosition};
use crate::replication::record::Record;
use database::{Gtid, GtidSet};
use std::collections::{BTreeMap, BTreeSet};

/// The node where a transaction began, and its number there.
pub type Id = (usize, u64);

/// What a transaction does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Its own row in `sim.marks`.
    Mark(i64),
    /// A row more, or less, in the table without a key.
    Plain(i64, bool),
    /// A table of its own.
    Define(i64),
    /// A shared row gets this value.
    Put(i64, i64),
    /// A shared row is inserted.
    Add(i64, i64),
    /// A shared row is deleted.
    Take(i64),
}

/// A transaction.
#[derive(Debug)]
pub struct Tx {
    pub effects: Vec<Effect>,
    pub at_ms: u64,
    payload: Vec<u8>,
    /// What had been executed where it began: the highest number of each origin.
    seen: BTreeMap<usize, u64>,
}

/// An entry of a node's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub id: Id,
    /// What was done; of a transaction that was skipped nothing, or not all.
    effects: Vec<Effect>,
    pub at: LogPosition,
    end: LogPosition,
}

/// A node's rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rows {
    pub marks: BTreeSet<i64>,
    pub plain: BTreeSet<i64>,
    pub defined: BTreeSet<i64>,
    pub shared: BTreeMap<i64, i64>,
}

impl Rows {
    fn new() -> Rows {
        let shared = (1..=SHARED_ROWS).map(|key| (key, 0)).collect();
        Rows { marks: BTreeSet::new(), plain: BTreeSet::new(), defined: BTreeSet::new(), shared }
    }

    /// The error that MySQL stops with, if these effects meet these rows.
    fn conflict(&self, effects: &[Effect]) -> Option<u16> {
        effects.iter().find_map(|effect| match effect {
            Effect::Put(key, _) | Effect::Take(key) if !self.shared.contains_key(key) => Some(1032),
            Effect::Plain(k, false) if !self.plain.contains(k) => Some(1032),
            Effect::Add(key, _) if self.shared.contains_key(key) => Some(1062),
            _ => None,
        })
    }

    fn apply(&mut self, effects: &[Effect]) {
        for effect in effects {
            let fresh = match *effect {
                Effect::Mark(k) => self.marks.insert(k),
                Effect::Plain(k, true) => self.plain.insert(k),
                Effect::Plain(k, false) => self.plain.remove(&k),
                Effect::Define(k) => self.defined.insert(k),
                Effect::Put(key, value) => self.shared.insert(key, value).is_some(),
                Effect::Add(key, value) => self.shared.insert(key, value).is_none(),
                Effect::Take(key) => self.shared.remove(&key).is_some(),
            };
            assert!(fresh, "{effect:?} does not fit {self:?}");
        }
    }
}

/// What one node has to hold.
pub struct Holds {
    pub log: Vec<Entry>,
    pub rows: Rows,
    /// How many entries somebody outside was told of, so that they must not be lost.
    pub told: usize,
    /// Rows that were written with the log switched off.
    pub here: BTreeSet<i64>,
    highest: BTreeMap<usize, u64>,
    /// What was executed before the log began anew, and the rows of that moment.
    before: (BTreeMap<usize, u64>, Rows),
}

/// All of it.
pub struct Model {
    pub txs: BTreeMap<Id, Tx>,
    pub nodes: Vec<Holds>,
    /// What was skipped somewhere, wholly or in part.
    pub emptied: BTreeSet<Id>,
    /// Whether what stops an applier elsewhere is passed over (`slave_skip_errors`).
    pub skips_errors: bool,
}

/// What is known of an entry that a step has made.
#[derive(Debug)]
pub enum Did {
    /// A client committed this.
    Committed(Vec<Effect>, u64),
    /// An applier applied it, with these bytes.
    Applied(Vec<u8>),
    /// An applier skipped it, and may.
    Skipped,
}

impl Model {
    pub fn new(nodes: usize) -> Model {
        let holds = || Holds {
            log: Vec::new(),
            rows: Rows::new(),
            told: 0,
            here: BTreeSet::new(),
            highest: BTreeMap::new(),
            before: (BTreeMap::new(), Rows::new()),
        };
        Model {
            txs: BTreeMap::new(),
            nodes: (0..nodes).map(|_| holds()).collect(),
            emptied: BTreeSet::new(),
            skips_errors: false,
        }
    }

    pub fn id(gtid: &Gtid) -> Id {
        (gtid.origin[..8].parse().unwrap(), gtid.sequence)
    }

    pub fn executed(&self, node: usize, id: Id) -> bool {
        // Numbers of one origin arrive in order and without a hole, which `observe` checks.
        self.nodes[node].highest.get(&id.0).is_some_and(|&highest| highest >= id.1)
    }

    /// What a node says that it has executed.
    pub fn set(&self, node: usize) -> GtidSet {
        let mut set = GtidSet::new();
        for (origin, &highest) in &self.nodes[node].highest {
            let before = self.nodes[node].before.0.get(origin).copied().unwrap_or(0);
            if highest > before {
                set.insert_interval(&uuid(*origin), before + 1, highest);
            }
        }
        set
    }

    /// What a node has executed, also before its log began anew.
    pub fn ever(&self, node: usize) -> GtidSet {
        let mut set = GtidSet::new();
        for (&origin, &highest) in &self.nodes[node].highest {
            set.insert_interval(&uuid(origin), 1, highest);
        }
        set
    }

    /// A node's log begins anew, and it forgets what it has executed.
    pub fn reset(&mut self, node: usize) {
        let holds = &mut self.nodes[node];
        holds.before = (holds.highest.clone(), holds.rows.clone());
        holds.log.clear();
        holds.told = 0;
    }

    /// The error that this node has to stop with at this transaction.
    pub fn conflict(&self, node: usize, id: Id, record: &Record) -> Option<u16> {
        let effects = self.carried(id, &record.payload);
        self.nodes[node].rows.conflict(&effects).filter(|_| !self.skips_errors)
    }

    /// What of a transaction these bytes do.
    fn carried(&self, id: Id, payload: &[u8]) -> Vec<Effect> {
        let effects = &self.txs[&id].effects;
        let Ok(Body::Rows(changes)) = encoding::decode(payload) else { return effects.clone() };
        let table = |effect: &Effect| match effect {
            Effect::Mark(_) => "marks",
            Effect::Plain(..) => "plain",
            _ => "shared",
        };
        let is_there = |effect: &&Effect| changes.iter().any(|change| &*change.table == table(effect));
        effects.iter().filter(is_there).copied().collect()
    }

    /// Looks at what is new in a node's log: it has to be what was done, once, in order, with the origin's bytes.
    pub fn observe(&mut self, node: usize, up: &Up, did: Vec<Did>) -> Result<Vec<Id>, String> {
        let new = self.unseen(node, up)?;
        if did.len() != new.len() {
            return Err(format!("{did:?} on node {node} made {} entries of the log", new.len()));
        }
        did.into_iter().zip(&new).map(|(did, record)| self.see(node, did, record)).collect()
    }

    /// What of a node's log was not looked at.
    pub fn unseen(&self, node: usize, up: &Up) -> Result<Vec<Record>, String> {
        up.inside.log.read(&up.reader, self.end(node)).map_err(|e| e.message)
    }

    /// The end of a node's log, as far as it was looked at.
    fn end(&self, node: usize) -> LogPosition {
        self.nodes[node].log.last().map_or(LogPosition { file: 0, pos: 0 }, |entry| entry.end)
    }

    fn see(&mut self, node: usize, did: Did, record: &Record) -> Result<Id, String> {
        let end = self.end(node);
        let id = Model::id(&record.gtid);
        if record.position != end && (record.position.file <= end.file || record.position.pos != DATA_POS) {
            return Err(format!("node {node}: the log goes on at {} behind {end}", record.position));
        }
        let highest = self.nodes[node].highest.get(&id.0).copied().unwrap_or(0);
        if id.1 <= highest {
            return Err(format!("node {node}: {id:?} is executed twice"));
        }
        if id.1 != highest + 1 {
            return Err(format!(
                "node {node}: {id:?} came behind number {highest}, and what is between is missing"
            ));
        }
        let effects = match did {
            Did::Committed(effects, at_ms) => {
                if id.0 != node {
                    return Err(format!("node {node}: a client's commit became {id:?}"));
                }
                let seen = self.nodes[node].highest.clone();
                let tx = Tx { effects: effects.clone(), at_ms, payload: record.payload.clone(), seen };
                self.txs.insert(id, tx);
                effects
            }
            Did::Applied(_) | Did::Skipped if id.0 == node => {
                return Err(format!("node {node}: {id:?} began here and came back"));
            }
            Did::Applied(received) => self.applied(node, id, &received, record)?,
            Did::Skipped => Vec::new(),
        };
        if effects.len() < self.txs[&id].effects.len() {
            self.emptied.insert(id);
        }
        let entry = Entry { id, effects, at: record.position, end: record.end() };
        self.execute(node, entry)?;
        Ok(id)
    }

    /// What an applier has done, by its log: all that it received, but for what it is to pass over.
    fn applied(&self, node: usize, id: Id, received: &[u8], record: &Record) -> Result<Vec<Effect>, String> {
        let mut rows = self.nodes[node].rows.clone();
        let all = self.carried(id, received);
        let mut wanted = all.clone();
        wanted.retain(|effect| {
            let fits = !self.skips_errors || rows.conflict(&[*effect]).is_none();
            if fits && self.skips_errors {
                rows.apply(&[*effect]);
            }
            fits
        });
        let done = self.carried(id, &record.payload);
        if done != wanted {
            return Err(format!("node {node}: of {id:?} {done:?} was done, and should be {wanted:?}"));
        }
        if done == all && record.payload != received {
            return Err(format!("node {node}: {id:?} has other bytes than it came with"));
        }
        if done == self.txs[&id].effects && record.payload != self.txs[&id].payload {
            return Err(format!("node {node}: {id:?} has other bytes than where it began"));
        }
        Ok(done)
    }

    fn execute(&mut self, node: usize, entry: Entry) -> Result<(), String> {
        let holds = &mut self.nodes[node];
        if let Some(code) = holds.rows.conflict(&entry.effects) {
            return Err(format!("node {node}: {:?} was applied and not stopped with {code}", entry.id));
        }
        holds.rows.apply(&entry.effects);
        holds.highest.insert(entry.id.0, entry.id.1);
        holds.log.push(entry);
        Ok(())
    }

    /// All that a node has executed by now was told to a client or a replica.
    pub fn tell(&mut self, node: usize) {
        self.nodes[node].told = self.nodes[node].log.len();
    }

    /// A node came back: the end of its log may be missing, as far as nobody was told of it. How much was lost.
    pub fn lose_end(&mut self, node: usize, up: &Up) -> Result<usize, String> {
        let kept = up.inside.log.read(&up.reader, LogPosition::START).map_err(|e| e.message)?;
        let last = kept.last().map_or(LogPosition::START, |record| record.position);
        let old = std::mem::take(&mut self.nodes[node].log);
        let first = binlog::files(&up.reader).map_err(|e| e.message)?.first().map_or(0, |file| file.file);
        let kept = old.iter().filter(|entry| entry.at <= last || entry.at.file < first).count();
        if kept < self.nodes[node].told {
            return Err(format!("node {node}: {:?} was acknowledged and is lost", old[kept].id));
        }
        old[kept..]
            .iter()
            .filter(|entry| entry.id.0 == node)
            .for_each(|entry| drop(self.txs.remove(&entry.id)));
        let holds = &mut self.nodes[node];
        (holds.highest, holds.rows) = holds.before.clone();
        for entry in &old[..kept] {
            self.execute(node, entry.clone())?;
        }
        Ok(old.len() - kept)
    }

    /// What is no longer in a node's log.
    pub fn purged(&self, node: usize, up: &Up) -> Vec<Id> {
        let first = binlog::files(&up.reader).unwrap().first().map_or(0, |file| file.file);
        self.nodes[node].log.iter().filter(|entry| entry.at.file < first).map(|entry| entry.id).collect()
    }

    /// Compares a whole node: tables, GTIDs, log.
    pub fn check(&self, node: usize, up: &Up) -> Result<(), String> {
        let holds = &self.nodes[node];
        let same = |what: &str, is: String, should: String| match is == should {
            true => Ok(()),
            false => Err(format!("node {node}: {what} is {is} and should be {should}")),
        };
        let list = |set: &BTreeSet<i64>| format!("{:?}", set.iter().collect::<Vec<_>>());
        let here = |sql: &str| format!("{:?}", up.numbers(sql));
        same("marks", here("SELECT k FROM \"sim.marks\" ORDER BY k"), list(&holds.rows.marks))?;
        same("plain", here("SELECT k FROM \"sim.plain\" ORDER BY k"), list(&holds.rows.plain))?;
        same("here", here("SELECT k FROM \"sim.here\" ORDER BY k"), list(&holds.here))?;
        let defined = "SELECT CAST(substr(name, 6) AS INTEGER) AS k FROM sqlite_schema WHERE type = 'table' AND \
                       name LIKE 'sim.d%' ORDER BY k";
        same("defined tables", here(defined), list(&holds.rows.defined))?;
        let shared = up.numbers("SELECT id FROM \"sim.shared\" ORDER BY id").into_iter();
        let shared = shared.zip(up.numbers("SELECT v FROM \"sim.shared\" ORDER BY id"));
        same(
            "shared",
            format!("{:?}", shared.collect::<BTreeMap<_, _>>()),
            format!("{:?}", holds.rows.shared),
        )?;
        let executed = gtids::read(&up.reader, EXECUTED).map_err(|e| e.message)?;
        same("gtid_executed", executed.to_string(), self.set(node).to_string())?;
        self.check_log(node, up)
    }

    /// The log holds what is executed and not purged, and nothing else.
    fn check_log(&self, node: usize, up: &Up) -> Result<(), String> {
        let records = up.inside.log.read(&up.reader, LogPosition::START).map_err(|e| e.message)?;
        let purged = self.purged(node, up);
        let kept: Vec<(Id, LogPosition)> =
            self.nodes[node].log[purged.len()..].iter().map(|entry| (entry.id, entry.at)).collect();
        let logged: Vec<(Id, LogPosition)> =
            records.iter().map(|record| (Model::id(&record.gtid), record.position)).collect();
        if kept != logged {
            return Err(format!("node {node}: the log holds {logged:?} and should hold {kept:?}"));
        }
        let mut set = GtidSet::new();
        purged.iter().for_each(|id| set.insert(&Gtid { origin: uuid(id.0).into(), sequence: id.1 }));
        let gone = gtids::read(&up.reader, PURGED).map_err(|e| e.message)?;
        if gone != set {
            return Err(format!("node {node}: gtid_purged is {gone} and should be {set}"));
        }
        Ok(())
    }

    /// Whether two nodes may hold different values in this shared row: only where two writes did not know of each other, or one
    /// was skipped somewhere.
    pub fn may_differ(&self, key: i64) -> bool {
        let writes: Vec<(&Id, &Tx)> = self
            .txs
            .iter()
            .filter(|(_, tx)| {
                tx.effects.iter().any(|effect| match *effect {
                    Effect::Put(at, _) | Effect::Add(at, _) | Effect::Take(at) => at == key,
                    _ => false,
                })
            })
            .collect();
        let knew = |tx: &Tx, id: &Id| tx.seen.get(&id.0).is_some_and(|&seen| seen >= id.1);
        writes.iter().any(|(id, _)| self.emptied.contains(id))
            || writes.iter().any(|(id, tx)| {
                writes.iter().any(|(other, theirs)| id.0 != other.0 && !knew(tx, other) && !knew(theirs, id))
            })
    }
}
