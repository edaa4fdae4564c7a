//! RESET MASTER, as an administrator does it who links by place: when every replica has all that is in the log; then each is
//! told the beginning of the new one. The node itself is a replica too, and goes on with its own links where it was.

use super::history::History;
use super::machine::{End, link_name};
use super::world::{BOTH, Mutant, Wire};
use crate::replication::links::Changes;

/// Rounds in which a link that can be drained is.
const ROUNDS: usize = 20;

impl History {
    /// A node's log begins anew, if its replicas can be brought to its end first.
    pub fn reset_master(&mut self, node: usize) -> Result<(), String> {
        let to: Vec<usize> =
            (0..self.world.wires.len()).filter(|&at| self.world.wires[at].source == node).collect();
        let all_up =
            to.iter().all(|&at| self.reachable(at) && self.world.is_up(self.world.wires[at].replica));
        if !self.world.is_up(node) || !all_up {
            return Ok(());
        }
        // What its own links have applied now is still in their relay logs.
        for at in (0..self.world.wires.len()).filter(|at| !to.contains(at)) {
            let &Wire { replica, source, .. } = &self.world.wires[at];
            if replica == node && self.reachable(at) && self.world.is_up(source) {
                self.drain(at)?;
            }
        }
        for &at in &to {
            let replica = self.world.wires[at].replica;
            self.world.start(at, BOTH)?;
            for _ in 0..ROUNDS {
                self.world.now_ms += 2000;
                if !self.drain(at)? {
                    break;
                }
            }
            self.world.answer(replica)?;
            if !self.world.model.ever(replica).contains_all(&self.world.model.ever(node)) {
                return Ok(());
            }
        }
        self.note(format!("reset master {node}"));
        self.world.count("reset master");
        self.world.sql(node, "RESET MASTER")?;
        if self.world.mutant == Mutant::CountsAnew {
            let reader = &self.world.up(node).reader;
            reader.execute("UPDATE _evensum_server SET used = 0", []).map_err(|e| e.to_string())?;
        }
        self.world.machines[node].sync();
        self.world.model.reset(node);
        for at in to {
            self.begin_anew(at)?;
        }
        if self.dice.percent(50) {
            // What is applied may still be in its relay logs, and it does not know these transactions any more.
            self.note(format!("kill {node}"));
            self.world.end(node, End::Killed, &mut self.dice)?;
            self.world.restart(node)?;
        }
        Ok(())
    }

    /// CHANGE MASTER to the beginning of the source's log.
    fn begin_anew(&mut self, at: usize) -> Result<(), String> {
        self.world.stop(at, BOTH)?;
        let (replica, source) = (self.world.wires[at].replica, self.world.wires[at].source);
        let (log_file, log_pos) = (Some("mysql-bin.000001".to_owned()), Some(4));
        let changes = Changes { log_file, log_pos, ..Changes::default() };
        let links = &self.world.up(replica).inside.links;
        links.change(&link_name(source), changes).map_err(|error| error.message)?;
        self.world.start(at, BOTH)
    }
}
