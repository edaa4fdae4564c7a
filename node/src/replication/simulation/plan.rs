//! What kind of history a seed makes: how many nodes, who pulls from whom, and what kinds of trouble there are.
//!
//! Most histories are small, because a small one that fails is read in a minute.

use super::dice::Dice;
use super::machine::MOST;

/// What a history is made of.
#[derive(Clone, Debug)]
pub struct Plan {
    pub nodes: usize,
    /// Replica and source of each link.
    pub pairs: Vec<(usize, usize)>,
    pub steps: usize,
    /// Rows are inserted and deleted by several nodes, so that appliers stop.
    pub conflicts: bool,
    /// What stops is on the list of errors to pass over.
    pub skip_errors: bool,
    /// A node that does not wait for its disk; it only replicates.
    pub careless: Option<usize>,
    pub purges: bool,
    pub small_relay: bool,
    pub delay_s: u64,
    pub by_place: bool,
    /// Logs begin anew (RESET MASTER), and links stay with their places: GTIDs do not protect there.
    pub resets: bool,
}

impl Plan {
    pub fn throw(dice: &mut Dice) -> Plan {
        let nodes = dice.pick(&[2, 2, 2, 2, 3, 3, 3, 4, MOST]);
        let ring = |nodes: usize| (0..nodes).map(|n| ((n + 1) % nodes, n)).collect::<Vec<_>>();
        let into = |nodes: usize| (1..nodes).map(|n| (0, n)).collect::<Vec<_>>();
        let back = |nodes: usize| (1..nodes).map(|n| (n, 0)).collect::<Vec<_>>();
        let shape = dice.below(4);
        let pairs = match shape {
            0 => into(nodes),
            1 => [into(nodes), back(nodes)].concat(),
            _ => ring(nodes),
        };
        // In a star of more a transaction comes back to the middle from where it was sent on to: that only its GTID tells.
        let one_way = shape != 1 || nodes == 2;
        let conflicts = dice.percent(25);
        let by_place = dice.percent(50);
        let resets = by_place && one_way && !conflicts && dice.percent(60);
        let sink = !pairs.iter().any(|&(_, source)| source == 0);
        Plan {
            nodes,
            steps: 40 + dice.below(70),
            conflicts,
            skip_errors: conflicts && dice.percent(40),
            careless: (sink && !resets && dice.percent(90)).then_some(0),
            purges: !resets && dice.percent(50),
            small_relay: dice.percent(30),
            delay_s: if dice.percent(10) { 2 } else { 0 },
            by_place,
            resets,
            pairs,
        }
    }
}
