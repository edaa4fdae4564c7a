//! Nodes and the wires between them, and the single steps that can happen to them.
//!
//! A wire stands for a link's two threads and its TCP connection: it calls the same functions as the threads' loops do (`Tries`,
//! `Receiver`, `Applier` on the replica, `Sender` on the source), carries the messages, and can do what a network does. Each
//! step ends with a look at the log of the node that it touched. A step that finds something wrong gives it as its error.

use super::dice::Dice;
use super::machine::{End, Lab, Machine, Up, link_name};
use super::model::{Id, Model};
use crate::SqlError;
use crate::replication::applier::{self, Applier};
use crate::replication::client::{LinkError, SourceIdentity, refused};
use crate::replication::dump::Sender;
use crate::replication::link::{Link, Settings};
use crate::replication::links::Threads;
use crate::replication::position::LogPosition;
use crate::replication::receiver::{Receiver, Tries};
use crate::replication::record::Message;
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What is broken on purpose, to see whether a history finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// Nothing is.
    None,
    /// The place that was read to is stored before what was read.
    PlaceFirst,
    /// The applier does not ask what is executed.
    AppliesAll,
    /// The network loses a message and goes on.
    LosesMessage,
    /// The network turns two messages of one link round.
    TurnsRound,
    /// The disk forgets what was synced.
    DiskLies,
    /// An applier that meets an error skips the transaction.
    SkipsErrors,
    /// An applier begins without knowing what was applied before it.
    ForgetsPlace,
    /// A log that begins anew counts its transactions from one again.
    CountsAnew,
    /// What is applied in a run leaves the relay log before it is committed.
    TakesFirst,
}

/// Both threads of a link.
pub const BOTH: Threads = Threads { receiver: true, applier: true };
/// How many messages may be on their way on one link.
const FLYING: usize = 24;

/// What is under way on a connection.
pub struct Talk {
    sender: Sender,
    receiver: Receiver,
    flying: VecDeque<Result<Message, SqlError>>,
}

/// What a receiver does.
pub enum Io {
    Off,
    Resting(u64),
    Talking(Box<Talk>),
}

/// One link, seen from outside.
pub struct Wire {
    pub replica: usize,
    pub source: usize,
    pub io: Io,
    pub applier: Option<Applier>,
    /// So many transactions its applier has applied in a run that is not committed yet.
    pub open: usize,
    pub cut: bool,
    tries: Option<Tries>,
    settings: Settings,
    /// The place that the last connection began at; none for auto position.
    from: Option<LogPosition>,
}

/// All of it.
pub struct World {
    pub machines: Vec<Machine>,
    pub wires: Vec<Wire>,
    pub model: Model,
    pub now_ms: u64,
    pub counts: BTreeMap<&'static str, u64>,
    pub mutant: Mutant,
    /// Whether a commit of an applier's run is to fail, and has not yet.
    pub refusing: bool,
    /// The same, for the hook that refuses it.
    pub refuses: Arc<AtomicBool>,
}

impl World {
    pub fn new(
        lab: &Lab,
        root: &Path,
        configs: Vec<crate::Config>,
        pairs: &[(usize, usize)],
        mutant: Mutant,
    ) -> World {
        let model = Model::new(configs.len());
        let new = |(n, config)| Machine::new(lab, root, n, config);
        let mut machines: Vec<Machine> = configs.into_iter().enumerate().map(new).collect();
        machines.iter_mut().for_each(|machine| machine.lies = mutant == Mutant::DiskLies);
        let wire = |&(replica, source): &(usize, usize)| Wire {
            replica,
            source,
            io: Io::Off,
            applier: None,
            open: 0,
            cut: false,
            tries: None,
            settings: Settings::default(),
            from: None,
        };
        let wires = pairs.iter().map(wire).collect();
        World {
            machines,
            wires,
            model,
            now_ms: 1_000_000,
            counts: BTreeMap::new(),
            mutant,
            refusing: false,
            refuses: Arc::default(),
        }
    }

    pub fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    pub fn up(&self, node: usize) -> &Up {
        self.machines[node].up.as_ref().unwrap()
    }

    pub fn is_up(&self, node: usize) -> bool {
        self.machines[node].up.is_some()
    }

    pub fn link(&self, wire: usize) -> Arc<Link> {
        self.up(self.wires[wire].replica).link(self.wires[wire].source)
    }

    /// Runs a statement that has to succeed.
    pub fn sql(&mut self, node: usize, sql: &str) -> Result<(), String> {
        self.machines[node]
            .up
            .as_mut()
            .unwrap()
            .sql(sql)
            .map_err(|error| format!("node {node}: {sql}: {error}"))
    }

    /// A client has its answer: what it was told is on the disk.
    pub fn answer(&mut self, node: usize) -> Result<(), String> {
        let disk = &self.up(node).inside.store.disk;
        disk.wait(disk.visible()).map_err(|e| e.to_string())?;
        self.model.tell(node);
        Ok(())
    }

    /// START SLAVE, without threads.
    pub fn start(&mut self, wire: usize, threads: Threads) -> Result<(), String> {
        let (replica, source) = (self.wires[wire].replica, self.wires[wire].source);
        let link =
            self.up(replica).inside.links.to_run(&link_name(source), threads).map_err(|e| e.message)?;
        self.go_on(wire, &link)
    }

    /// Starts what the link's settings say that it runs, as the node's start does.
    fn go_on(&mut self, at: usize, link: &Link) -> Result<(), String> {
        let settings = link.settings();
        let wire = &mut self.wires[at];
        if settings.run_receiver && matches!(wire.io, Io::Off) {
            wire.tries = Some(Tries::begin(link));
            wire.io = Io::Resting(self.now_ms);
        }
        if settings.run_applier && wire.applier.is_none() {
            applier::begin(link);
            if self.mutant == Mutant::ForgetsPlace {
                let reader = &self.machines[wire.replica].up.as_ref().unwrap().reader;
                reader.execute("DELETE FROM _evensum_links", []).map_err(|e| e.to_string())?;
            }
            let mut applier = Applier::new(link).map_err(|e| e.message)?;
            applier.allow_runs();
            wire.applier = Some(applier);
        }
        Ok(())
    }

    /// STOP SLAVE.
    pub fn stop(&mut self, at: usize, threads: Threads) -> Result<(), String> {
        let link = self.link(at);
        let (replica, source) = (self.wires[at].replica, self.wires[at].source);
        self.up(replica).inside.links.stop(&link_name(source), threads).map_err(|e| e.message)?;
        // who stops a link that stands still has to start it to learn why
        self.wires[at].cut &= !threads.receiver;
        if threads.receiver && !matches!(self.wires[at].io, Io::Off) {
            self.wires[at].io = Io::Off;
            Tries::end(&link);
        }
        if threads.applier
            && let Some(mut applier) = self.wires[at].applier.take()
        {
            applier.clear(&link).map_err(|e| e.message)?;
            applier::end(&link, Ok(()), self.now_ms);
        }
        Ok(())
    }

    /// A try to reach the source, if it is time.
    pub fn connect(&mut self, at: usize, reachable: bool) -> Result<bool, String> {
        let wire = &self.wires[at];
        if !matches!(wire.io, Io::Resting(until) if until <= self.now_ms) || !self.is_up(wire.replica) {
            return Ok(false);
        }
        let link = self.link(at);
        let source = wire.source;
        let settings = match &mut self.wires[at].tries {
            Some(tries) => tries.connecting(&link),
            None => return Err(format!("wire {at} has no thread")),
        };
        self.wires[at].settings = settings.clone();
        if !reachable || !self.is_up(source) {
            let lost = LinkError::passing(2003, "Can't connect to MySQL server");
            return self.broke(at, lost).map(|()| true);
        }
        let identity = SourceIdentity {
            server_id: self.machines[source].config.server_id,
            server_uuid: self.up(source).inside.log.server_uuid().to_owned(),
            log_base: "mysql-bin".to_owned(),
        };
        let begun = Receiver::meet(&link, &settings, identity).map_err(|e| e.message)?;
        let (receiver, request) = begun;
        self.wires[at].from = request.from;
        self.count(if request.from.is_none() { "connected by GTID" } else { "connected by place" });
        let there = self.up(source);
        match Sender::start(&there.reader, &there.inside.log, request) {
            Ok(sender) => {
                let flying = VecDeque::new();
                self.wires[at].io = Io::Talking(Box::new(Talk { sender, receiver, flying }));
                // what was gone from the source's log has come another way meanwhile
                self.wires[at].cut = false;
                Ok(true)
            }
            Err(error) => self.broke(at, refused(error.code, error.message)).map(|()| true),
        }
    }

    /// The connection is gone, or there was none.
    pub fn broke(&mut self, at: usize, error: LinkError) -> Result<(), String> {
        let link = self.link(at);
        if error.code == 1236 {
            self.count("1236");
            self.is_really_gone(at, &link, &error)?;
        }
        let wire = &mut self.wires[at];
        let wait: Option<Duration> =
            wire.tries.as_mut().and_then(|tries| tries.broke(&link, &wire.settings, error, self.now_ms));
        match wait {
            Some(wait) => wire.io = Io::Resting(self.now_ms + u64::try_from(wait.as_millis()).unwrap()),
            None => {
                wire.io = Io::Off;
                Tries::end(&link);
            }
        }
        Ok(())
    }

    /// A source may only refuse what it does not have any more.
    fn is_really_gone(&self, at: usize, link: &Link, error: &LinkError) -> Result<(), String> {
        let wire = &self.wires[at];
        if wire.from.is_some() {
            return Ok(()); // a place in a file that is gone says nothing of what is needed
        }
        let waiting = link.relay.gtids().map_err(|e| e.message)?;
        let waits = |id: &Id| {
            waiting.contains(&database::Gtid { origin: super::machine::uuid(id.0).into(), sequence: id.1 })
        };
        let purged = self.model.purged(wire.source, self.up(wire.source));
        let needed = purged.iter().any(|id| !self.model.executed(wire.replica, *id) && !waits(id));
        match needed {
            true => Ok(()),
            false => Err(format!("wire {at}: refused, and nothing is gone that it needs: {}", error.message)),
        }
    }

    /// The source writes to the connection. Whether it did, and whether it had more than a heartbeat.
    pub fn send(&mut self, at: usize) -> Result<(bool, bool), String> {
        let source = self.wires[at].source;
        let Some(there) = &self.machines[source].up else { return Ok((false, false)) };
        let Io::Talking(talk) = &mut self.wires[at].io else { return Ok((false, false)) };
        if talk.flying.len() >= FLYING || talk.flying.back().is_some_and(Result::is_err) {
            return Ok((false, false));
        }
        let next = talk.sender.next(&there.reader, &there.inside.log);
        // As every byte that leaves the node, this waits for the disk.
        let disk = &there.inside.store.disk;
        disk.wait(disk.visible()).map_err(|e| e.to_string())?;
        if self.machines[source].config.durable() {
            self.model.tell(source);
        }
        match next {
            Ok(messages) => {
                let more = messages.iter().any(|message| matches!(message, Message::Transaction(_)));
                talk.flying.extend(messages.into_iter().map(Ok));
                match self.mutant {
                    Mutant::LosesMessage if talk.flying.len() > 2 => drop(talk.flying.remove(0)),
                    Mutant::TurnsRound if talk.flying.len() > 1 => talk.flying.swap(0, 1),
                    _ => {}
                }
                Ok((true, more))
            }
            Err(error) => {
                talk.flying.push_back(Err(error));
                Ok((true, true))
            }
        }
    }

    /// Some messages arrive. How many.
    pub fn deliver(&mut self, at: usize, most: usize) -> Result<usize, String> {
        let (now, link) = (self.now_ms, self.link(at));
        let Io::Talking(talk) = &mut self.wires[at].io else { return Ok(0) };
        let mut count = 0;
        // The thread reads on only while the relay log has space.
        while count < most && !talk.receiver.is_full() && link.relay.wait_for_space(Duration::ZERO) {
            let Some(message) = talk.flying.pop_front() else { break };
            count += 1;
            match message {
                Ok(mut message) => {
                    if let Message::Transaction(record) = &mut message {
                        record.committed_at_ms = self.model.txs[&Model::id(&record.gtid)].at_ms;
                        if self.mutant == Mutant::PlaceFirst {
                            link.relay.append(&[], record.end()).map_err(|e| e.message)?;
                        }
                    }
                    talk.receiver.receive(message, now);
                }
                Err(error) => {
                    self.broke(at, refused(error.code, error.message))?;
                    break;
                }
            }
        }
        Ok(count)
    }

    /// The receiver stores what has arrived.
    pub fn flush(&mut self, at: usize) -> Result<(), String> {
        let link = self.link(at);
        if let Io::Talking(talk) = &mut self.wires[at].io {
            talk.receiver.flush(&link).map_err(|e| e.message)?;
            // A batch is stored as a whole, so the bound can be passed by one batch.
            if link.relay.bytes() > link.context.relay_limit_bytes + BATCH_SLACK {
                return Err(format!("wire {at}: the relay log holds {} bytes", link.relay.bytes()));
            }
        }
        Ok(())
    }

    /// The first file of a node's log that somebody reads: as in `serve`, it stays.
    pub fn first_read(&self, source: usize) -> u64 {
        let reads = |wire: &Wire| match &wire.io {
            Io::Talking(talk) if wire.source == source => Some(talk.sender.file()),
            _ => None,
        };
        self.wires.iter().filter_map(reads).min().unwrap_or(u64::MAX)
    }

    /// A node ends; its links break, and those to it.
    pub fn end(&mut self, node: usize, how: End, dice: &mut Dice) -> Result<(), String> {
        let mut appliers = Vec::new();
        for at in 0..self.wires.len() {
            let wire = &mut self.wires[at];
            if wire.replica == node {
                // One that is dropped with a run would commit that; who is killed does not.
                appliers.extend(wire.applier.take());
                (wire.io, wire.tries, wire.open) = (Io::Off, None, 0);
            } else if wire.source == node && matches!(wire.io, Io::Talking(_)) {
                let arrives = dice.below(FLYING);
                self.deliver(at, arrives)?;
                if matches!(self.wires[at].io, Io::Talking(_)) {
                    self.broke(at, LinkError::passing(2013, "Lost connection to source"))?;
                }
            }
        }
        self.machines[node].end(how, dice);
        self.refusing = false;
        self.refuses.store(false, Ordering::SeqCst);
        Ok(())
    }

    /// A node starts again, with all its links that ran.
    pub fn restart(&mut self, node: usize) -> Result<(), String> {
        self.machines[node].start();
        let up = self.machines[node].up.as_ref().unwrap();
        if self.model.lose_end(node, up)? > 0 {
            self.count("a committed tail was lost");
        }
        self.model.check(node, self.up(node))?;
        for at in 0..self.wires.len() {
            if self.wires[at].replica == node {
                let link = self.link(at);
                self.go_on(at, &link)?;
            }
        }
        Ok(())
    }
}

/// What one batch of a history's small transactions can hold, in bytes.
const BATCH_SLACK: u64 = 8192;
