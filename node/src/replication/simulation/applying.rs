//! The steps of an applier, alone and in runs, and what is looked at behind each.
//!
//! In a run transactions are applied one behind the other and committed together, so behind one step nothing new may be in the log, and
//! behind a later one all of it. Meanwhile messages move, the node can end, and the common commit can fail; then none of them has
//! happened, nothing may say that it had, and each is applied again.

use super::history::History;
use super::model::{Did, Id, Model};
use super::world::{Mutant, World};
use crate::replication::applier::{self, Stepped};
use crate::replication::link::{Link, applied_place};
use crate::replication::position::LogPosition;
use crate::replication::record::Record;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A run needs transactions that wait.
const MESSAGES_BEFORE_A_RUN: usize = 2;

/// Transactions that wait and are not executed, in their order.
type Unknown = Vec<(Id, Record)>;

impl World {
    /// The applier makes a step, and what it has applied is committed.
    pub fn apply(&mut self, at: usize) -> Result<Stepped, String> {
        let stepped = self.step(at)?;
        self.end_run(at)?;
        Ok(stepped)
    }

    /// The applier makes a step; what it applies may be left for a common commit.
    pub fn step(&mut self, at: usize) -> Result<Stepped, String> {
        let (replica, link) = (self.wires[at].replica, self.link(at));
        let Some(mut applier) = self.wires[at].applier.take() else { return Ok(Stepped::Idle) };
        let (asked, told) = (link.state().skip_counter > 0, link.state().applied);
        let next = self.unknown(replica, &link)?;
        self.break_before(replica, &link, &next)?;
        let stepped = match applier.step(&link, self.now_ms) {
            Ok(stepped) => stepped,
            Err(error) => {
                self.notice_refusal(at);
                self.committed(at, &next, None)?;
                let expected = self.conflict(replica, &link)?;
                applier::end(&link, Err(error.clone()), self.now_ms);
                let state = link.state();
                if Some(error.code) != expected || state.apply_error.code != error.code || state.applying {
                    return Err(format!(
                        "node {replica}: the applier stopped with {error}, expected {expected:?}"
                    ));
                }
                self.count("stopped by a conflict");
                return Ok(Stepped::Idle);
            }
        };
        self.wires[at].applier = Some(applier);
        let refused = self.notice_refusal(at);
        let own = match stepped {
            Stepped::Applied if self.model.unseen(replica, self.up(replica))?.is_empty() => {
                return self.left(at, &link, told, refused).map(|()| stepped);
            }
            Stepped::Applied => Some(false),
            Stepped::Skipped => Some(true),
            Stepped::Known | Stepped::Waiting(_) | Stepped::Idle => None,
        };
        self.committed(at, &next, own)?;
        match stepped {
            Stepped::Skipped if !asked => {
                return Err(format!("node {replica}: a transaction was skipped without a word"));
            }
            Stepped::Skipped => self.count("skipped"),
            Stepped::Known => self.count("passed over as known"),
            Stepped::Waiting(_) => self.count("delayed"),
            Stepped::Applied | Stepped::Idle => {}
        }
        Ok(stepped)
    }

    /// What the applier has left is committed, or waits again.
    pub fn end_run(&mut self, at: usize) -> Result<(), String> {
        let (replica, link) = (self.wires[at].replica, self.link(at));
        let Some(mut applier) = self.wires[at].applier.take() else { return Ok(()) };
        let (next, told) = (self.unknown(replica, &link)?, link.state().applied);
        applier.end_run(&link);
        self.wires[at].applier = Some(applier);
        if self.notice_refusal(at) && link.state().applied != told {
            return Err(format!("node {replica}: what could not be committed is called applied"));
        }
        self.committed(at, &next, None)
    }

    /// The next COMMIT of this link's run will fail.
    pub fn refuse_commit(&mut self, at: usize) -> Result<(), String> {
        let store = Arc::clone(&self.up(self.wires[at].replica).inside.store);
        let mut pen = store.pen.take().ok_or("nobody has left the pen")?;
        let refuses = Arc::clone(&self.refuses);
        refuses.store(true, Ordering::SeqCst);
        pen.conn
            .commit_hook(Some(move || refuses.swap(false, Ordering::SeqCst)))
            .map_err(|e| e.to_string())?;
        store.pen.put(pen);
        self.refusing = true;
        Ok(())
    }

    /// Whether the common commit was refused in this step. Then nothing of the run has happened.
    fn notice_refusal(&mut self, at: usize) -> bool {
        let refused = self.refusing && !self.refuses.load(Ordering::SeqCst);
        if refused {
            self.refusing = false;
            self.wires[at].open = 0;
            self.count("a common commit failed");
        }
        refused
    }

    /// A transaction was applied and is not committed: nothing may say that it is.
    fn left(
        &mut self,
        at: usize,
        link: &Link,
        told: Option<LogPosition>,
        refused: bool,
    ) -> Result<(), String> {
        if link.state().applied != told {
            return Err(format!("wire {at}: what is not committed is called applied"));
        }
        if !refused {
            self.wires[at].open += 1;
        }
        if self.mutant == Mutant::TakesFirst {
            let waiting = link.relay.next(0).map_err(|e| e.message)?;
            if let Some(waiting) = waiting.first().filter(|_| self.wires[at].open > 1) {
                link.relay.taken(waiting.n);
                link.relay.discard_taken().map_err(|e| e.message)?;
            }
        }
        Ok(())
    }

    /// What was left is committed now, with its own that is skipped or not: it has to be in the log, in the order of the relay log, and the link's place behind it.
    fn committed(&mut self, at: usize, next: &Unknown, own: Option<bool>) -> Result<(), String> {
        let (replica, link) = (self.wires[at].replica, self.link(at));
        let open = std::mem::take(&mut self.wires[at].open);
        let payload = |n: usize| next.get(n).map_or_else(Vec::new, |(_, record)| record.payload.clone());
        let mut did: Vec<Did> = (0..open).map(|n| Did::Applied(payload(n))).collect();
        did.extend(own.map(|skipped| if skipped { Did::Skipped } else { Did::Applied(payload(open)) }));
        let up = self.machines[replica].up.as_ref().unwrap();
        let emptied = self.model.emptied.len();
        let ids = self.model.observe(replica, up, did)?;
        if !ids.iter().eq(next.iter().take(ids.len()).map(|(id, _)| id)) {
            return Err(format!("node {replica}: applied {ids:?} out of the relay log's order"));
        }
        if let Some((_, last)) = ids.len().checked_sub(1).and_then(|last| next.get(last)) {
            let place = applied_place(&up.reader, &link.name, link.epoch()).map_err(|e| e.message)?;
            if place != Some(last.end()) {
                return Err(format!("wire {at}: its place is {place:?} behind {ids:?}"));
            }
        }
        if ids.len() > 1 {
            self.count("run");
        }
        if own == Some(false) && self.model.emptied.len() > emptied {
            self.count("passed over for its error");
        }
        Ok(())
    }

    fn unknown(&self, replica: usize, link: &Link) -> Result<Unknown, String> {
        let waiting = link.relay.next(0).map_err(|e| e.message)?;
        let all = waiting.into_iter().map(|waiting| (Model::id(&waiting.record.gtid), waiting.record));
        Ok(all.filter(|(id, _)| !self.model.executed(replica, *id)).collect())
    }

    /// The error that the next transaction has to stop with.
    fn conflict(&self, replica: usize, link: &Link) -> Result<Option<u16>, String> {
        let next = self.unknown(replica, link)?;
        Ok(next.first().and_then(|(id, record)| self.model.conflict(replica, *id, record)))
    }

    /// What a mutant does before a step.
    fn break_before(&self, replica: usize, link: &Link, next: &Unknown) -> Result<(), String> {
        if self.mutant == Mutant::AppliesAll
            && let Some(front) = link.relay.next(0).map_err(|e| e.message)?.first()
        {
            let transaction = front.record.transaction().map_err(|_| "damaged")?;
            let mut session = (link.context.applies)().map_err(|e| e.message)?;
            session.apply(&transaction, &|_| Ok(())).map_err(|e| format!("node {replica}: {e}"))?;
        }
        let conflict = next.first().and_then(|(id, record)| self.model.conflict(replica, *id, record));
        if self.mutant == Mutant::SkipsErrors && conflict.is_some() {
            link.update(|state| state.skip_counter += 1);
        }
        Ok(())
    }
}

impl History {
    /// The applier of a link applies several in a run. Meanwhile messages move, and the node or the common commit can fail.
    pub fn apply_run(&mut self, at: usize) -> Result<(), String> {
        for _ in 0..MESSAGES_BEFORE_A_RUN {
            self.move_messages(at)?;
        }
        let times = 2 + self.dice.below(8);
        for _ in 0..times {
            let stepped = self.world.step(at)?;
            self.note(format!("apply {at} in a run: {stepped:?}"));
            if stepped != Stepped::Applied {
                break;
            }
            let open = self.world.wires[at].open;
            match self.dice.below(20) {
                0..2 if open > 0 => {
                    self.world.count("ended in a run");
                    return self.end(self.world.wires[at].replica);
                }
                2..6 if open > 0 => {
                    self.note(format!("refuse the commit of {open} on {at}"));
                    self.world.refuse_commit(at)?;
                }
                6..12 => {
                    let any = self.wire();
                    self.move_messages(any)?;
                }
                _ => {}
            }
        }
        self.note(format!("end the run of {at}"));
        self.world.end_run(at)
    }

    /// A wire carries what it has.
    fn move_messages(&mut self, at: usize) -> Result<(), String> {
        if !self.world.is_up(self.world.wires[at].replica) || !self.reachable(at) {
            return Ok(());
        }
        let sent = self.world.send(at)?;
        let came = self.world.deliver(at, 3)?;
        self.world.flush(at)?;
        self.note(format!("send, deliver, store {at}: {sent:?} {came}"));
        Ok(())
    }
}
