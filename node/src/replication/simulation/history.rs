//! One history: a plan and a row of steps, all thrown by one seed; then everything is healed, drained and compared.
//!
//! The plan says how many nodes there are, who pulls from whom, and what kinds of trouble this history has. Trouble that makes
//! it impossible to end equal (a log that was purged too early) is still followed to the end: then every node has to be what
//! the model says, and each link that stands still has to say why.

use super::dice::Dice;
use super::machine::{End, Lab, config, link_name};
use super::model::{Did, Effect};
use super::plan::Plan;
use super::world::{BOTH, Io, Mutant, World};
use crate::replication::client::LinkError;
use crate::replication::link::applied_place;
use crate::replication::links::{Changes, Threads};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hasher};

/// How a history ended.
#[derive(Debug)]
pub struct Outcome {
    /// What was found wrong.
    pub wrong: Option<String>,
    pub steps: Vec<String>,
    /// A hash of the steps and of what every node held in the end.
    pub trace: u64,
    pub counts: BTreeMap<&'static str, u64>,
}

/// A history under way.
pub struct History {
    pub world: World,
    pub plan: Plan,
    pub dice: Dice,
    pub steps: Vec<String>,
    pub next_k: i64,
    /// Pairs of nodes that do not reach each other.
    pub parted: BTreeSet<(usize, usize)>,
    pub deletable: Vec<(usize, i64)>,
}

/// Runs the history of a seed.
pub fn run(lab: &Lab, seed: u64, mutant: Mutant) -> Outcome {
    let mut dice = Dice::new(seed);
    let plan = Plan::throw(&mut dice);
    let root = super::machine::scratch();
    let configs = (0..plan.nodes).map(|n| {
        let mut config = config(n, plan.nodes);
        config.max_binlog_size = 500;
        config.relay_log_space_limit = if plan.small_relay { 300 } else { 1 << 20 };
        if plan.skip_errors {
            config.slave_skip_errors = vec![1032, 1062];
        }
        if plan.careless == Some(n) {
            (config.innodb_flush_log_at_trx_commit, config.sync_binlog) = (2, 0);
        }
        config
    });
    let mut world = World::new(lab, root.path(), configs.collect(), &plan.pairs, mutant);
    world.model.skips_errors = plan.skip_errors;
    let mut history = History {
        world,
        steps: vec![format!("{plan:?}")],
        plan,
        dice,
        next_k: 0,
        parted: BTreeSet::new(),
        deletable: Vec::new(),
    };
    let wrong = history.go().err();
    let mut hasher = DefaultHasher::new();
    history.steps.iter().for_each(|step| hasher.write(step.as_bytes()));
    for holds in &history.world.model.nodes {
        hasher.write(format!("{:?} {:?}", holds.log, holds.rows).as_bytes());
    }
    Outcome { wrong, steps: history.steps, trace: hasher.finish(), counts: history.world.counts }
}

impl History {
    fn go(&mut self) -> Result<(), String> {
        for at in 0..self.world.wires.len() {
            self.link(at)?;
        }
        for _ in 0..self.plan.steps {
            self.step()?;
        }
        self.settle()
    }

    pub fn note(&mut self, step: String) {
        self.steps.push(step);
    }

    /// The administrator's first words to a link.
    fn link(&mut self, at: usize) -> Result<(), String> {
        let (replica, source) = (self.world.wires[at].replica, self.world.wires[at].source);
        let changes = Changes {
            host: Some(format!("node{source}")),
            port: Some(3306),
            user: Some("repl".to_owned()),
            auto_position: Some(!self.plan.by_place),
            delay_s: Some(self.plan.delay_s),
            ..Changes::default()
        };
        let links = &self.world.up(replica).inside.links;
        links.change(&link_name(source), changes).map_err(|error| error.message)?;
        self.world.start(at, BOTH)
    }

    pub fn reachable(&self, at: usize) -> bool {
        let wire = &self.world.wires[at];
        let (low, high) = (wire.replica.min(wire.source), wire.replica.max(wire.source));
        !self.parted.contains(&(low, high))
    }

    pub fn wire(&mut self) -> usize {
        self.dice.below(self.world.wires.len())
    }

    fn step(&mut self) -> Result<(), String> {
        let at = self.wire();
        let replica_up = self.world.is_up(self.world.wires[at].replica);
        match self.dice.below(100) {
            0..22 => self.commit(),
            22..62 if replica_up => self.carry(at),
            62..69 if replica_up => self.apply_run(at),
            69..76 if replica_up => {
                let times = 1 + self.dice.below(4);
                for _ in 0..times {
                    let stepped = self.world.apply(at)?;
                    self.note(format!("apply {at}: {stepped:?}"));
                }
                Ok(())
            }
            76..80 if replica_up => self.drop_connection(at),
            80..83 => self.part(),
            83..86 => {
                self.world.now_ms += 1 + self.dice.next() % 1500;
                self.note(format!("clock {}", self.world.now_ms));
                Ok(())
            }
            86..91 => self.end_or_start(),
            91..98 if replica_up => self.administer(at),
            98..100 => {
                for node in 0..self.plan.nodes {
                    if self.world.is_up(node) {
                        self.world.model.check(node, self.world.up(node))?;
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Something moves on a link: it connects, sends, delivers or stores.
    fn carry(&mut self, at: usize) -> Result<(), String> {
        if matches!(self.world.wires[at].io, Io::Resting(_)) {
            let reachable = self.reachable(at);
            let tried = self.world.connect(at, reachable)?;
            self.note(format!("connect {at}: {tried}, reachable {reachable}"));
            return Ok(());
        }
        if !self.reachable(at) {
            return Ok(()); // silence; nobody knows yet
        }
        match self.dice.below(5) {
            0 | 1 => {
                let sent = self.world.send(at)?;
                self.note(format!("send {at}: {sent:?}"));
            }
            2 | 3 => {
                let most = 1 + self.dice.below(6);
                let came = self.world.deliver(at, most)?;
                self.note(format!("deliver {at}: {came}"));
                if self.dice.percent(60) {
                    self.world.flush(at)?;
                    self.note(format!("store {at}"));
                }
            }
            _ => {
                self.world.flush(at)?;
                self.note(format!("store {at}"));
            }
        }
        Ok(())
    }

    fn drop_connection(&mut self, at: usize) -> Result<(), String> {
        if matches!(self.world.wires[at].io, Io::Talking(_)) {
            self.note(format!("drop {at}"));
            self.world.count("connection dropped");
            let arrives = self.dice.below(3);
            self.world.deliver(at, arrives)?;
            if matches!(self.world.wires[at].io, Io::Talking(_)) {
                self.world.broke(at, LinkError::passing(2013, "Lost connection to source"))?;
            }
        }
        Ok(())
    }

    fn part(&mut self) -> Result<(), String> {
        let at = self.wire();
        let wire = &self.world.wires[at];
        let pair = (wire.replica.min(wire.source), wire.replica.max(wire.source));
        if self.parted.remove(&pair) {
            self.note(format!("heal {pair:?}"));
        } else {
            self.parted.insert(pair);
            self.world.count("partition");
            self.note(format!("part {pair:?}"));
        }
        Ok(())
    }

    fn end_or_start(&mut self) -> Result<(), String> {
        let node = self.dice.below(self.plan.nodes);
        if !self.world.is_up(node) {
            self.note(format!("start {node}"));
            return self.world.restart(node);
        }
        self.end(node)
    }

    /// A node ends in one of the ways there are, and may start again at once.
    pub fn end(&mut self, node: usize) -> Result<(), String> {
        let how = self.dice.pick(&[End::Killed, End::PowerCut, End::PowerCut, End::RelayLost]);
        self.note(format!("end {node}: {how:?}"));
        self.world.count(match how {
            End::Killed => "killed",
            End::PowerCut => "power cut",
            End::RelayLost => "relay log lost",
        });
        self.world.end(node, how, &mut self.dice)?;
        if self.dice.percent(60) {
            self.note(format!("start {node}"));
            self.world.restart(node)?;
        }
        Ok(())
    }

    /// A client's transaction.
    fn commit(&mut self) -> Result<(), String> {
        let node = self.dice.below(self.plan.nodes);
        if !self.world.is_up(node) || self.plan.careless == Some(node) {
            return Ok(());
        }
        self.next_k += 1;
        let k = self.next_k;
        let mark = format!("INSERT INTO sim.marks (k) VALUES ({k})");
        let begin = "BEGIN".to_owned();
        let commit = "COMMIT".to_owned();
        let key = i64::try_from(self.dice.below(3)).unwrap() + 1;
        let (statements, effects) = match self.dice.below(100) {
            0..45 => (vec![mark], vec![Effect::Mark(k)]),
            55..78 if self.plan.conflicts => {
                let key = key + 10;
                let there = self.world.model.nodes[node].rows.shared.contains_key(&key);
                match there {
                    true => {
                        (vec![format!("DELETE FROM sim.shared WHERE id = {key}")], vec![Effect::Take(key)])
                    }
                    false => (
                        vec![format!("INSERT INTO sim.shared VALUES ({key}, {k})")],
                        vec![Effect::Add(key, k)],
                    ),
                }
            }
            45..70 => {
                let update = format!("UPDATE sim.shared SET v = {k} WHERE id = {key}");
                let there = self.world.model.nodes[node].rows.shared.contains_key(&key);
                let put = there.then_some(Effect::Put(key, k));
                (vec![begin, mark, update, commit], [Effect::Mark(k)].into_iter().chain(put).collect())
            }
            70..84 => self.plain(node, k),
            84..88 => (
                vec![format!("CREATE TABLE sim.d{k} (id INT PRIMARY KEY, name VARCHAR(20))")],
                vec![Effect::Define(k)],
            ),
            88..94 => {
                self.world.count("log switched off");
                self.world.model.nodes[node].here.insert(k);
                let insert = format!("INSERT INTO sim.here VALUES ({k})");
                (vec!["SET sql_log_bin = 0".to_owned(), insert, "SET sql_log_bin = 1".to_owned()], vec![])
            }
            _ => {
                self.world.count("rolled back");
                (vec![begin, mark, "ROLLBACK".to_owned()], vec![])
            }
        };
        self.note(format!("node {node}: {}", statements.join("; ")));
        for sql in &statements {
            self.world.sql(node, sql)?;
        }
        let did = (!effects.is_empty()).then_some(Did::Committed(effects, self.world.now_ms));
        let up = self.world.machines[node].up.as_ref().unwrap();
        let ids = self.world.model.observe(node, up, did.into_iter().collect())?;
        // Some clients have no answer yet when the next thing happens. What is not in the log is not looked for after a crash, so
        // that is always answered.
        if ids.is_empty() || self.dice.percent(70) {
            self.world.answer(node)?;
            self.note("answered".to_owned());
        }
        Ok(())
    }

    /// A row more or less in the table without a key; only who inserted it deletes it.
    fn plain(&mut self, node: usize, k: i64) -> (Vec<String>, Vec<Effect>) {
        // What nobody was told of may be lost.
        let model = &self.world.model;
        self.deletable.retain(|(whose, k)| model.nodes[*whose].rows.plain.contains(k));
        let own = self.deletable.iter().position(|&(whose, _)| whose == node);
        if let Some(at) = own.filter(|_| self.dice.percent(50)) {
            let (_, old) = self.deletable.remove(at);
            return (vec![format!("DELETE FROM sim.plain WHERE k = {old}")], vec![Effect::Plain(old, false)]);
        }
        self.deletable.push((node, k));
        (vec![format!("INSERT INTO sim.plain VALUES ({k})")], vec![Effect::Plain(k, true)])
    }

    /// Something that an administrator does to a link, or to a log.
    fn administer(&mut self, at: usize) -> Result<(), String> {
        let source = self.world.wires[at].source;
        match self.dice.below(10) {
            0 | 1 => {
                let threads = self.dice.pick(&[
                    BOTH,
                    Threads { receiver: true, applier: false },
                    Threads { receiver: false, applier: true },
                ]);
                self.note(format!("stop {at} {threads:?}"));
                self.world.count("stopped");
                self.world.stop(at, threads)
            }
            2 | 3 => {
                self.note(format!("start {at}"));
                self.mend(at)?;
                self.world.start(at, BOTH)
            }
            4 | 8 if self.world.is_up(source) => {
                self.note(format!("rotate {source}"));
                self.world.count("rotated");
                self.world.sql(source, "FLUSH BINARY LOGS")?;
                self.world.machines[source].sync();
                Ok(())
            }
            5 | 9 if self.plan.purges && self.world.is_up(source) => self.purge(source),
            6 | 7 if self.plan.resets => self.reset_master(source),
            6 => self.change(at),
            7 => {
                self.note(format!("reset {at}"));
                self.world.count("reset");
                self.world.stop(at, BOTH)?;
                let (replica, name) = (self.world.wires[at].replica, link_name(source));
                self.world.up(replica).inside.links.reset(&name, false).map_err(|e| e.message)?;
                self.world.start(at, BOTH)
            }
            _ => Ok(()),
        }
    }

    fn purge(&mut self, source: usize) -> Result<(), String> {
        let files = crate::replication::binlog::files(&self.world.up(source).reader).unwrap();
        let to = files[self.dice.below(files.len())].file.min(self.world.first_read(source));
        self.note(format!("purge {source} to {to}"));
        self.world.count("purged");
        self.world.sql(source, &format!("PURGE BINARY LOGS TO 'mysql-bin.{to:06}'"))?;
        self.world.machines[source].sync();
        Ok(())
    }

    /// CHANGE MASTER: from a place to GTIDs, and back.
    fn change(&mut self, at: usize) -> Result<(), String> {
        self.world.stop(at, BOTH)?;
        let link = self.world.link(at);
        let mut changes = Changes::default();
        if link.settings().auto_position {
            changes.auto_position = Some(false);
            let reader = &self.world.up(self.world.wires[at].replica).reader;
            let place = applied_place(reader, &link.name, link.epoch());
            if let Some(place) = place.map_err(|e| e.message)?.filter(|_| self.dice.percent(50)) {
                (changes.log_file, changes.log_pos) = (Some(place.file_name("mysql-bin")), Some(place.pos));
            }
        } else {
            changes.auto_position = Some(true);
        }
        self.note(format!(
            "change {at}: {:?} {:?} {:?}",
            changes.auto_position, changes.log_file, changes.log_pos
        ));
        self.world.count("changed");
        let replica = self.world.wires[at].replica;
        let links = &self.world.up(replica).inside.links;
        links.change(&link.name, changes).map_err(|error| error.message)?;
        self.world.start(at, BOTH)
    }

    /// What the administrator does about a link that stands still, before it is started again.
    pub fn mend(&mut self, at: usize) -> Result<bool, String> {
        let link = self.world.link(at);
        let state = link.state();
        if matches!(state.apply_error.code, 1032 | 1062) && self.world.wires[at].applier.is_none() {
            self.note(format!("skip one on {at}"));
            link.update(|state| state.skip_counter = 1);
            return Ok(true);
        }
        if state.receive_error.code == 1236 && matches!(self.world.wires[at].io, Io::Off) {
            if link.settings().auto_position {
                self.world.wires[at].cut = true;
                return Ok(false);
            }
            self.change(at)?;
            return Ok(true);
        }
        Ok(true)
    }
}
