//! What a clone is going to do, found before anything is done: whether it can be done at all, and in which steps.
//!
//! # Which way the rows go afterwards
//!
//! Without `--ring-next` SOURCE and TARGET replicate from each other, whatever else SOURCE has: it gets a link more. Every
//! node passes on what it gets, and takes each transaction once by its GTID, so that in a ring, a pair or a star
//! a write on TARGET reaches all by way of SOURCE. With `--ring-next NODE` a ring stays a ring: NODE took from SOURCE and
//! takes from TARGET, which takes from SOURCE.
//!
//! Invariant: everything that can be known to go wrong is found here, where nothing is changed.

use crate::cluster::Connected;
use crate::error::Failure;
use database::mysql::LinkState;
use database::mysql::clone::{Numbering, Statement, Way};
use std::fmt;

/// Which of the nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The one that is copied.
    Source,
    /// The new one.
    Target,
    /// The one behind it in the ring.
    Next,
}

/// The nodes.
pub struct Nodes {
    /// Source, target, and the next one in the ring if there is one.
    pub list: Vec<Connected>,
}

impl Nodes {
    fn place(role: Role) -> usize {
        match role {
            Role::Source => 0,
            Role::Target => 1,
            Role::Next => 2,
        }
    }

    /// The node.
    pub fn get(&mut self, role: Role) -> Result<&mut Connected, Failure> {
        self.list.get_mut(Nodes::place(role)).ok_or_else(|| Failure::usage("no node was named", ""))
    }

    /// What it is called.
    pub fn name(&self, role: Role) -> &str {
        self.list.get(Nodes::place(role)).map_or("", |node| &node.target.name)
    }
}

/// Something to do after the copy.
#[derive(Clone, Debug)]
pub enum Action {
    /// A statement.
    Run(Statement),
    /// Wait until the node has executed what this one has executed by then.
    Reach(Role),
    /// Wait until the node has executed what the copy holds: the new node's log does not have that.
    ReachCopy,
}

/// Something to do, and on which node.
#[derive(Clone, Debug)]
pub struct Step {
    /// The node.
    pub role: Role,
    /// Its name.
    pub node: String,
    /// What.
    pub action: Action,
    /// What it is called in a list.
    pub words: String,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.node, self.words)
    }
}

/// All of it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The copy.
    pub copy: Statement,
    /// What follows on it.
    pub steps: Vec<Step>,
    /// What takes the steps back, node and statement.
    pub undo: Vec<(String, Statement)>,
    /// What should be known before.
    pub warnings: Vec<String>,
}

/// By which account and password nodes replicate, if not by those that were used here.
pub type Account = Option<(String, database::Secret)>;

/// Looks at all nodes.
pub async fn make(nodes: &mut Nodes, join: bool, account: &Account) -> Result<Plan, Failure> {
    are_nodes(nodes).await?;
    can_be_reached(nodes)?;
    differ(nodes)?;
    is_empty(nodes, join).await?;
    let source = way(nodes, Role::Source, account).await?;
    let target = way(nodes, Role::Target, account).await?;
    let copy = Statement::copy(&nodes.get(Role::Source)?.way().await?);
    let mut warnings = numbering(nodes).await?;
    if !join {
        return Ok(Plan {
            copy,
            steps: steps(nodes, &source, &target, &Feed::nobody()),
            undo: Vec::new(),
            warnings,
        });
    }
    warnings.extend(passes_on(nodes).await?);
    let feed = Feed::find(nodes).await?;
    let undo = undo(nodes, &source, &feed);
    Ok(Plan { copy, steps: steps(nodes, &source, &target, &feed), undo, warnings })
}

async fn are_nodes(nodes: &mut Nodes) -> Result<(), Failure> {
    for node in &mut nodes.list {
        if !node.connection.can_clone().await? {
            let what = format!(
                "{} ({}) is no bundled node that can be cloned",
                node.target.name, node.identity.version
            );
            let advice = "evensum clone is between bundled nodes of this version; copy MariaDB with mariadb-dump --all-databases \
                 --single-transaction --master-data --gtid, and MySQL with its own CLONE INSTANCE FROM";
            return Err(Failure::refused(what, advice));
        }
    }
    Ok(())
}

/// Nodes connect to each other by the addresses that were named.
fn can_be_reached(nodes: &Nodes) -> Result<(), Failure> {
    let advice = "name the nodes by hosts and ports by which they reach each other";
    let local = |host: &str| host == "localhost" || host == "::1" || host.starts_with("127.");
    if let Some(node) = nodes.list.iter().find(|node| node.target.socket.is_some()) {
        let what = format!("{} was named by a socket, which no other machine reaches", node.target.name);
        return Err(Failure::usage(what, advice));
    }
    let locals = nodes.list.iter().filter(|node| local(&node.target.host)).count();
    if locals > 0 && locals < nodes.list.len() {
        let what = "some of the nodes were named by an address of this machine alone, and others not";
        return Err(Failure::usage(what, advice));
    }
    Ok(())
}

fn differ(nodes: &Nodes) -> Result<(), Failure> {
    for (n, node) in nodes.list.iter().enumerate() {
        let twin = nodes.list[..n].iter().find(|before| before.identity.server_id == node.identity.server_id);
        if let Some(twin) = twin {
            let what = format!(
                "{} and {} have the same server_id, {}",
                twin.target.name, node.target.name, node.identity.server_id
            );
            let advice = "give the new node a server_id of its own in its configuration, and start it again";
            return Err(Failure::refused(what, advice));
        }
    }
    Ok(())
}

async fn is_empty(nodes: &mut Nodes, join: bool) -> Result<(), Failure> {
    let target = nodes.get(Role::Target)?;
    let name = target.target.name.clone();
    let advice =
        "a copy is only made into an empty node: name another one, or start this one in a new, empty folder";
    let databases = target.connection.own_databases().await?;
    if !databases.is_empty() {
        return Err(Failure::refused(
            format!("{name} is not empty: it has {}", databases.join(", ")),
            advice,
        ));
    }
    let executed = target.connection.executed().await?;
    if !executed.is_empty() {
        let what = format!("{name} is not empty: it has executed {executed}");
        return Err(Failure::refused(what, advice));
    }
    let links = target.connection.replication().await?;
    let running = links.iter().any(|link| link.io_running || link.sql_running);
    if let Some(link) = links.first().filter(|_| running || join) {
        let what = format!("{name} replicates from {} already", link.source);
        return Err(Failure::refused(
            what,
            "run STOP SLAVE and RESET SLAVE ALL on it, and remove its sources from its configuration",
        ));
    }
    Ok(())
}

async fn way(nodes: &mut Nodes, role: Role, account: &Account) -> Result<Way, Failure> {
    let way = nodes.get(role)?.way().await?;
    Ok(match account {
        Some((user, password)) => Way { user: user.as_str().into(), password: password.clone(), ..way },
        None => way,
    })
}

/// Refuses a new node that would not pass on what it gets: the link that is moved to it would starve. A warning, if nobody
/// can write to it.
async fn passes_on(nodes: &mut Nodes) -> Result<Option<String>, Failure> {
    let target = nodes.get(Role::Target)?;
    let name = target.target.name.clone();
    let can = target.connection.passing_on().await?;
    let missing: Vec<&str> =
        [(can.log, "log_bin"), (can.updates, "log_slave_updates"), (can.gtids, "gtid_mode")]
            .into_iter()
            .filter_map(|(on, setting)| (!on).then_some(setting))
            .collect();
    if !missing.is_empty() {
        let what = format!(
            "{name} does not pass on what it gets: {} {} off there",
            missing.join(" and "),
            if missing.len() > 1 { "are" } else { "is" }
        );
        let advice = "switch that on in its configuration and start it again, or copy alone with --no-join";
        return Err(Failure::refused(what, advice));
    }
    Ok(can.read_only.then(|| format!("{name} is read_only: it gets what others write, and takes no writes")))
}

/// Who is to replicate from the new node, and by which link.
struct Feed {
    role: Role,
    channel: String,
    /// Whether there is such a link already.
    known: bool,
    /// Nobody.
    nobody: bool,
}

impl Feed {
    fn nobody() -> Feed {
        Feed { role: Role::Source, channel: String::new(), known: false, nobody: true }
    }

    async fn find(nodes: &mut Nodes) -> Result<Feed, Failure> {
        let address = |node: &Connected| format!("{}:{}", node.target.host, node.target.port);
        let source = nodes.get(Role::Source)?;
        let (source_id, source_address) = (source.identity.server_id.clone(), address(source));
        let target_address = address(nodes.get(Role::Target)?);
        if nodes.list.len() > 2 {
            let next = nodes.get(Role::Next)?;
            let links = next.connection.replication().await?;
            let from_source =
                |link: &&LinkState| link.source_id == source_id || link.source == source_address;
            let Some(link) = links.iter().find(from_source) else {
                let name = &next.target.name;
                let what = format!("{name} (--ring-next) does not replicate from {source_address}");
                return Err(Failure::refused(what, "evensum status says who replicates from whom"));
            };
            if !link.io_running || !link.sql_running {
                let what = format!("the link of {} from {} does not run", next.target.name, link.source);
                let advice = "let it run and catch up first: what the copy holds it gets from there alone";
                return Err(Failure::refused(what, advice));
            }
            return Ok(Feed { role: Role::Next, channel: link.channel.clone(), known: true, nobody: false });
        }
        let links = nodes.get(Role::Source)?.connection.replication().await?;
        let there = links.iter().find(|link| link.source == target_address);
        let channel = match there {
            Some(link) => link.channel.clone(),
            None if links.is_empty() => String::new(),
            None => target_address,
        };
        Ok(Feed { role: Role::Source, channel, known: there.is_some(), nobody: false })
    }
}

fn steps(nodes: &Nodes, source: &Way, target: &Way, feed: &Feed) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut add = |role: Role, action: Action| {
        let words = match &action {
            Action::Run(statement) => statement.to_string(),
            Action::Reach(other) => {
                format!("(wait until it has executed all that {} has)", nodes.name(*other))
            }
            Action::ReachCopy => {
                format!("(wait until it has executed all that was copied to {})", nodes.name(Role::Target))
            }
        };
        steps.push(Step { role, node: nodes.name(role).to_owned(), action, words });
    };
    add(Role::Target, Action::Run(Statement::follow("", source)));
    add(Role::Target, Action::Run(Statement::start("")));
    add(Role::Target, Action::Reach(Role::Source));
    if feed.nobody {
        return steps;
    }
    let channel = feed.channel.as_str();
    if feed.role == Role::Next {
        add(Role::Next, Action::ReachCopy);
    }
    if feed.known {
        add(feed.role, Action::Run(Statement::stop(channel)));
    }
    add(feed.role, Action::Run(Statement::follow(channel, target)));
    add(feed.role, Action::Run(Statement::start(channel)));
    add(feed.role, Action::Reach(Role::Target));
    steps
}

fn undo(nodes: &Nodes, source: &Way, feed: &Feed) -> Vec<(String, Statement)> {
    let (fed, channel) = (nodes.name(feed.role).to_owned(), feed.channel.as_str());
    let mut undo = vec![(fed.clone(), Statement::stop(channel))];
    match feed.role {
        Role::Next => {
            undo.push((fed.clone(), Statement::follow(channel, source)));
            undo.push((fed, Statement::start(channel)));
        }
        Role::Source | Role::Target => undo.push((fed, Statement::forget(channel))),
    }
    let target = nodes.name(Role::Target);
    undo.push((target.to_owned(), Statement::stop("")));
    undo.push((target.to_owned(), Statement::forget("")));
    undo
}

/// Whether the new node may number rows as another one does.
async fn numbering(nodes: &mut Nodes) -> Result<Vec<String>, Failure> {
    let mut known = Vec::new();
    for node in &mut nodes.list {
        known.push((node.target.name.to_string(), node.connection.numbering().await?));
    }
    // who ever wrote in this cluster, as far as the source knows
    let source = nodes.get(Role::Source)?;
    let executed = source.connection.executed().await?;
    let own = source.identity.server_uuid.as_str();
    let writers = executed.origins().len() + usize::from(!executed.origins().any(|origin| origin == own));
    Ok(collisions(&known, writers + 1))
}

/// What is wrong with the numbering of the second node beside the others, in a cluster of so many writers.
fn collisions(nodes: &[(String, Numbering)], writers: usize) -> Vec<String> {
    let Some((target, new)) = nodes.get(1) else { return Vec::new() };
    let mut warnings = Vec::new();
    let write =
        |numbering: &Numbering| format!("increment {}, offset {}", numbering.increment, numbering.offset);
    for (name, other) in nodes.iter().filter(|(name, _)| name != target) {
        if meet(*new, *other) {
            warnings.push(format!(
                "{target} and {name} may give new rows the same numbers: auto_increment {} on {target}, {} on {name}",
                write(new),
                write(other)
            ));
        }
        if other.increment < writers as u64 {
            warnings.push(format!(
                "auto_increment_increment is {} on {name}, and {writers} nodes have written or will: too few numbers for all",
                other.increment
            ));
        }
    }
    warnings
}

/// Whether two series of numbers have one in common.
fn meet(one: Numbering, other: Numbering) -> bool {
    // as in MySQL, an offset beyond the increment does not count
    let offset = |n: Numbering| if n.offset > n.increment { 1 } else { n.offset };
    let (mut a, mut b) = (one.increment.max(1), other.increment.max(1));
    while b != 0 {
        (a, b) = (b, a % b);
    }
    offset(one).abs_diff(offset(other)).is_multiple_of(a)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbering(increment: u64, offset: u64) -> Numbering {
        Numbering { increment, offset }
    }

    #[test]
    fn series_that_meet_are_found() {
        assert!(meet(numbering(1, 1), numbering(1, 1)));
        assert!(meet(numbering(2, 1), numbering(2, 1)));
        assert!(!meet(numbering(2, 1), numbering(2, 2)));
        assert!(meet(numbering(2, 1), numbering(3, 3)), "3 is in both");
        assert!(!meet(numbering(4, 2), numbering(2, 1)));
        assert!(meet(numbering(2, 3), numbering(2, 1)), "an offset beyond the increment is 1");
    }

    #[test]
    fn a_new_node_that_takes_the_numbers_of_others_is_warned_of() {
        let node = |name: &str, increment, offset| (name.to_owned(), numbering(increment, offset));
        assert!(collisions(&[node("n1", 3, 1), node("n3", 3, 3), node("n2", 3, 2)], 3).is_empty());
        let few = collisions(&[node("n1", 2, 1), node("n3", 2, 2)], 3);
        assert!(few.len() == 1 && few[0].contains("too few numbers"), "{few:?}");
        let same = collisions(&[node("n1", 3, 1), node("n3", 3, 1), node("n2", 3, 2)], 3);
        assert!(same.len() == 1 && same[0].starts_with("n3 and n1 may give"), "{same:?}");
    }
}
