//! How a history ends: everything is healed, started and drained, and every node compared with the model and with the others.

use super::history::History;
use super::world::{BOTH, Io};
use crate::replication::applier::Stepped;
use std::collections::BTreeSet;

/// Rounds after which everything has to be drained.
const ROUNDS: usize = 400;

impl History {
    /// Everything is healed and started, runs until nothing moves, and is compared.
    pub fn settle(&mut self) -> Result<(), String> {
        self.note("settle".to_owned());
        self.parted.clear();
        for node in 0..self.plan.nodes {
            if !self.world.is_up(node) {
                self.world.restart(node)?;
            }
        }
        let mut quiet = 0;
        for _ in 0..ROUNDS {
            self.world.now_ms += 2000;
            let mut moved = false;
            for at in 0..self.world.wires.len() {
                moved |= self.drain(at)?;
            }
            quiet = if moved { 0 } else { quiet + 1 };
            if quiet == 3 {
                return self.compare();
            }
        }
        Err("it does not come to rest".to_owned())
    }

    /// Everything that a link can do at this moment. Whether anything moved.
    pub fn drain(&mut self, at: usize) -> Result<bool, String> {
        let mut moved = false;
        let stands = matches!(self.world.wires[at].io, Io::Off) || self.world.wires[at].applier.is_none();
        if stands && !self.world.wires[at].cut && self.mend(at)? {
            self.world.start(at, BOTH)?;
            moved = true;
        }
        moved |= self.world.connect(at, true)?;
        let (_, more) = self.world.send(at)?;
        moved |= more;
        self.world.deliver(at, usize::MAX)?;
        self.world.flush(at)?;
        while self.world.wires[at].applier.is_some() {
            match self.world.step(at)? {
                Stepped::Idle => break,
                Stepped::Waiting(_) => return Ok(true),
                _ => moved = true,
            }
        }
        Ok(moved)
    }

    /// The end: every node is what the model says, every link is drained, and what should be equal is.
    fn compare(&mut self) -> Result<(), String> {
        let world = &self.world;
        for node in 0..self.plan.nodes {
            world.model.check(node, world.up(node))?;
        }
        for (at, wire) in world.wires.iter().enumerate() {
            let link = world.link(at);
            if wire.cut {
                let code = link.state().receive_error.code;
                if code != 1236 {
                    return Err(format!("wire {at} stands still and shows {code}"));
                }
                continue;
            }
            if !link.relay.is_drained() {
                return Err(format!("wire {at} is not drained"));
            }
            let (has, had) = (world.model.ever(wire.replica), world.model.ever(wire.source));
            if !has.contains_all(&had) {
                return Err(format!("node {} has {has}, but its source {had}", wire.replica));
            }
        }
        let cut = world.wires.iter().any(|wire| wire.cut);
        if cut {
            self.world.count("ended with a log that is gone");
            return Ok(());
        }
        self.compare_rows()
    }

    fn compare_rows(&mut self) -> Result<(), String> {
        let model = &self.world.model;
        let sets: Vec<_> = (0..self.plan.nodes).map(|node| model.ever(node)).collect();
        let mut diverged = false;
        for node in 1..self.plan.nodes {
            if sets[node] != sets[0] {
                continue; // nobody pulls from the sink of a star
            }
            let (a, b) = (&model.nodes[0].rows, &model.nodes[node].rows);
            if model.emptied.is_empty()
                && (&a.marks, &a.plain, &a.defined) != (&b.marks, &b.plain, &b.defined)
            {
                return Err(format!("node 0 and node {node} have executed the same and differ: {a:?} {b:?}"));
            }
            let keys: BTreeSet<i64> = a.shared.keys().chain(b.shared.keys()).copied().collect();
            for key in keys.into_iter().filter(|key| a.shared.get(key) != b.shared.get(key)) {
                diverged = true;
                if !model.may_differ(key) {
                    return Err(format!("shared row {key} differs, and no writes to it crossed"));
                }
            }
        }
        let ring = self.plan.pairs.iter().any(|&(_, source)| source == 0);
        if ring && sets.iter().any(|set| *set != sets[0]) {
            return Err(format!("the GTID sets differ: {sets:?}"));
        }
        self.world.count(if diverged { "ended with crossed writes" } else { "ended equal" });
        Ok(())
    }
}
