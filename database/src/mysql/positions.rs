//! [`Ledger`] without a ledger: positions in the servers' own logs stand in for watermark rows. Nothing is written anywhere.
//!
//! # How
//!
//! A mark of node `X` is where `X` stands when the mark is made; it is kept on a [`Board`] that the nodes of one run share. Node `Y`
//! shows it when `Y` has applied that much of what began on `X`. It is asked again and again rather than waited for in the
//! server: that needs no right, and blocks no connection.
//!
//! * The bundled node: the transactions of `X`'s own uuid in `gtid_executed`.
//! * MySQL with `gtid_mode=ON`: all of `gtid_executed`, since a group's transactions bear the group's name; and what is in
//!   `gtid_owned`, since a transaction can be seen a moment before it is listed as executed.
//! * MariaDB: for each domain the last number that `X` gave itself, of `gtid_binlog_state`; shown by `gtid_slave_pos`, or by the state
//!   of `Y`'s own log. Domains may be shared by masters: numbers are compared for one server, which counts only upwards.
//! * Galera and its like: nodes of one cluster agree on an order, and a causal read (`wsrep_sync_wait`) on `Y` returns when `Y` has
//!   applied all that was ordered before it.
//! * Where that does not decide, and this user may see the state of replication: the file and offset of `X`'s log, for a `Y` that
//!   `X` feeds itself.
//!
//! # Why that is as good as a row
//!
//! What matters of a row in the log is that all that was committed on its writer before it stands before it. A position that is read
//! later than what is to be covered covers it, for each of these positions moves before its transaction can be seen, or
//! (`gtid_owned`) is completed by what is about to be seen. A position that `Y` shows is of what has been committed there; but for
//! the state of MariaDB's own log, which moves just before: then the transaction holds its row locks already, so a pin that is
//! granted either waits for its commit or began before it wrote.
//!
//! Assumes what [`Ledger`] rows assume, and that nobody empties a log (`RESET MASTER`) while a run is at work. That somebody did so
//! before is found in most cases: a node has applied more of `X` than `X` says it ever made.
//!
//! What is given up: nothing of the run is left on the servers ([`Ledger::push`] does nothing), and where positions are not
//! comparable (no GTIDs, and not fed directly or not allowed to look) no mark is ever shown, and rows stay unsettled.

mod feeds;

use self::feeds::feeds;
use super::fault::Fault;
use super::link::Link;
use super::read::position;
use super::{LOCK_WAIT_S, Options, Watch, watch};
use crate::error::{Error, Result};
use crate::gtid::GtidSet;
use crate::ledger::{Checksum, Ledger, Watermark};
use crate::secret::Secret;
use crate::target::Target;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How many exchanges are remembered; a run looks at the last one only.
const EXCHANGES_KEPT: usize = 64;

/// MariaDB's numbers: the last one that a server gave in a domain.
type Numbers = BTreeMap<(u32, u32), u64>;

/// Where the marks of a run are kept, for the nodes of the run.
#[derive(Clone, Debug, Default)]
pub struct Board(Arc<Mutex<Pinned>>);

#[derive(Debug, Default)]
struct Pinned {
    seats: usize,
    marks: BTreeMap<(String, u64), Vec<(Watermark, Mark)>>,
    /// The most of each server that any node had applied when it joined.
    applied: Numbers,
}

/// Where a node stood.
#[derive(Clone, Debug)]
struct Mark {
    /// The connection that made it.
    seat: usize,
    server_id: u32,
    /// What began there, if that can be told.
    own: Option<Own>,
    /// The end of its log: file and offset.
    log: Option<(String, u64)>,
    /// The state of its Galera cluster.
    galera: Option<String>,
}

/// What began on a node, or at least that.
#[derive(Clone, Debug)]
enum Own {
    /// Nothing that reaches others: there is no log.
    Nothing,
    Set(GtidSet),
    Numbers(Numbers),
}

/// How a server tells where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// By sets of GTIDs; `Some`: only those of this uuid matter.
    Set(Option<String>),
    /// By MariaDB's numbers.
    Numbers,
    /// By file and offset alone.
    Files,
}

/// What a server is, as far as it matters here.
#[derive(Clone, Debug)]
struct Server {
    id: u32,
    logs: bool,
    kind: Kind,
    galera: Option<String>,
}

/// The marks of one node.
#[derive(Debug)]
pub struct PositionConnection {
    name: String,
    link: Link,
    board: Board,
    seat: usize,
    server: Option<Server>,
    follower: bool,
}

impl Board {
    fn pinned(&self) -> MutexGuard<'_, Pinned> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PositionConnection {
    /// Connects; all nodes of a run share a board.
    pub async fn connect(
        target: &Target,
        secret: Option<&Secret>,
        options: &Options,
        board: &Board,
    ) -> Result<PositionConnection> {
        let seat = {
            let mut pinned = board.pinned();
            pinned.seats += 1;
            pinned.seats
        };
        let mut node = PositionConnection {
            name: target.name.to_string(),
            link: Link::new(target, secret, options, Duration::from_secs(LOCK_WAIT_S)),
            board: board.clone(),
            seat,
            server: None,
            follower: false,
        };
        let server = node.look().await;
        node.server =
            Some(server.map_err(|fault| fault.at(&node.name, "the connection", node.link.account(), None))?);
        Ok(node)
    }

    /// The same for a follower: nobody waits for its marks.
    #[must_use]
    pub fn of_follower(mut self) -> PositionConnection {
        self.follower = true;
        self
    }

    /// Finds out what this server is.
    async fn look(&mut self) -> std::result::Result<Server, Fault> {
        let link = &mut self.link;
        link.find_account().await?;
        let id = ask(link, "SELECT @@server_id").await?.unwrap_or_default().parse().unwrap_or(0);
        let logs = optional(ask(link, "SELECT @@log_bin").await)?.is_none_or(|text| on(&text));
        let status = optional(pair(link, "SHOW STATUS LIKE 'wsrep_cluster_state_uuid'").await)?;
        let galera = status.filter(|uuid| uuid.chars().any(|c| !matches!(c, '0' | '-')));
        let kind = if watch(link).await? == Watch::Log {
            Kind::Set(ask(link, "SELECT @@server_uuid").await?)
        } else if optional(ask(link, "SELECT @@global.gtid_binlog_state").await)?.is_some() {
            Kind::Numbers
        } else {
            // while modes change, some transactions have no GTID
            let mode = optional(ask(link, "SELECT @@global.gtid_mode").await)?;
            if mode.is_some_and(|mode| mode.eq_ignore_ascii_case("on")) {
                Kind::Set(None)
            } else {
                Kind::Files
            }
        };
        Ok(Server { id, logs, kind, galera })
    }

    fn server(&self) -> std::result::Result<Server, Fault> {
        self.server.clone().ok_or_else(|| Fault::Odd("it was not asked what it is".into()))
    }

    /// Where the node stands.
    async fn stand(&mut self) -> std::result::Result<Mark, Fault> {
        let Server { id, logs, kind, galera } = self.server()?;
        let link = &mut self.link;
        let own = match kind {
            _ if !logs => Some(Own::Nothing),
            Kind::Files => None,
            Kind::Numbers => {
                let mut numbers = numbers(&ask(link, "SELECT @@global.gtid_binlog_state").await?)?;
                numbers.retain(|&(_, server), _| server == id);
                Some(Own::Numbers(numbers))
            }
            Kind::Set(uuid) => {
                // in this order, so that what goes from one to the other in between is not missed
                let owned = optional(ask(link, "SELECT @@global.gtid_owned").await)?.unwrap_or_default();
                let executed = ask(link, "SELECT @@global.gtid_executed").await?.unwrap_or_default();
                let mut set = GtidSet::new();
                for text in [without_owners(&owned), executed] {
                    for (origin, first, last) in self::set(&text)?.intervals() {
                        if uuid.as_deref().is_none_or(|uuid| uuid == origin) {
                            set.insert_interval(origin, first, last);
                        }
                    }
                }
                Some(Own::Set(set))
            }
        };
        let log = optional(position(link).await.map(Some))?;
        let log = log.and_then(|log| {
            let (file, offset) = log.0.rsplit_once(':')?;
            Some((file.to_owned(), offset.parse().ok()?))
        });
        Ok(Mark { seat: self.seat, server_id: id, own, log, galera })
    }

    /// Which of the marks this node shows.
    async fn shown(&mut self, marks: &[(Watermark, Mark)]) -> std::result::Result<Vec<Watermark>, Fault> {
        let Server { kind, galera, .. } = self.server()?;
        let seat = self.seat;
        let (mut numbers, mut set) = (Numbers::new(), GtidSet::new());
        match kind {
            Kind::Numbers => numbers = applied(&mut self.link).await?,
            Kind::Set(_) => {
                set = self::set(
                    &ask(&mut self.link, "SELECT @@global.gtid_executed").await?.unwrap_or_default(),
                )?;
            }
            Kind::Files => {}
        }
        let mut shown: Vec<bool> = Vec::with_capacity(marks.len());
        for (_, mark) in marks {
            shown.push(mark.seat == seat || covers(mark.own.as_ref(), &numbers, &set));
        }
        let related = |mark: &Mark| galera.is_some() && mark.galera == galera;
        let left = |shown: &[bool], of: &dyn Fn(&Mark) -> bool| {
            marks.iter().zip(shown).any(|((_, mark), shown)| !shown && of(mark))
        };
        // the answer comes when all that was ordered before is applied; if it does not come in time, it is not
        if left(&shown, &related) && optional(ask(&mut self.link, "SELECT 1").await)?.is_some() {
            marks.iter().zip(&mut shown).for_each(|((_, mark), shown)| *shown |= related(mark));
        }
        if left(&shown, &|mark| mark.log.is_some()) {
            let links = feeds(&mut self.link).await?;
            for ((_, mark), shown) in marks.iter().zip(&mut shown) {
                *shown |= links.iter().any(|feed| feed.reaches(mark));
            }
        }
        let shown = marks.iter().zip(shown).filter(|(_, shown)| *shown);
        Ok(shown.map(|((watermark, _), _)| watermark.clone()).collect())
    }

    /// Remembers how much of each server this node has applied.
    async fn join(&mut self) -> std::result::Result<(), Fault> {
        if self.server()?.kind == Kind::Numbers {
            let applied = applied(&mut self.link).await?;
            let mut pinned = self.board.pinned();
            for (key, number) in applied {
                let most = pinned.applied.entry(key).or_default();
                *most = number.max(*most);
            }
        }
        Ok(())
    }

    fn error(&self, fault: Fault) -> Error {
        fault.at(&self.name, "its position", self.link.account(), None)
    }
}

impl Ledger for PositionConnection {
    async fn prepare(&mut self) -> Result<()> {
        self.join().await.map_err(|fault| self.error(fault))
    }

    async fn push(&mut self, _: &[Checksum]) -> Result<()> {
        Ok(())
    }

    async fn mark(&mut self, run: &str, watermark: &Watermark) -> Result<()> {
        self.link.refresh().await;
        let mark = self.stand().await.map_err(|fault| self.error(fault))?;
        let mut pinned = self.board.pinned();
        // the nodes of a Galera cluster may count as one
        if let (Some(Own::Numbers(own)), None) = (&mark.own, &mark.galera) {
            let fewer = |(key, number): (&(u32, u32), &u64)| {
                pinned.applied.get(key).is_some_and(|most| most > number)
            };
            if own.iter().any(fewer) {
                let reason =
                    "another node has applied more of it than it ever wrote, by its own log: the log was \
                              emptied, or two servers share a server_id; its positions say nothing"
                        .to_owned();
                return Err(Error::Schema { node: self.name.clone(), reason });
            }
        }
        let marks = pinned.marks.entry((run.to_owned(), watermark.number)).or_default();
        if marks.iter().any(|(known, _)| known == watermark) {
            let (what, reason) = ("to set a mark".to_owned(), "it is set already".to_owned());
            return Err(Error::Refused { node: self.name.clone(), what, reason, grant: None });
        }
        marks.push((watermark.clone(), mark));
        while pinned.marks.len() > EXCHANGES_KEPT {
            pinned.marks.pop_first();
        }
        Ok(())
    }

    async fn marks(&mut self, run: &str, number: u64) -> Result<Vec<Watermark>> {
        let marks = self.board.pinned().marks.get(&(run.to_owned(), number)).cloned().unwrap_or_default();
        if marks.is_empty() {
            return Ok(Vec::new());
        }
        self.link.refresh().await;
        self.shown(&marks).await.map_err(|fault| self.error(fault))
    }

    fn follows(&self) -> bool {
        self.follower
    }

    fn logs_marks(&self) -> bool {
        false
    }
}

/// Whether what has been applied covers what began elsewhere.
fn covers(own: Option<&Own>, numbers: &Numbers, set: &GtidSet) -> bool {
    match own {
        Some(Own::Nothing) => true,
        Some(Own::Numbers(own)) => own.iter().all(|(key, number)| numbers.get(key) >= Some(number)),
        Some(Own::Set(own)) => set.contains_all(own),
        None => false,
    }
}

/// For each domain and server the last number that has been applied here, or was given here.
async fn applied(link: &mut Link) -> std::result::Result<Numbers, Fault> {
    let mut all = numbers(&ask(link, "SELECT @@global.gtid_binlog_state").await?)?;
    for (key, number) in numbers(&ask(link, "SELECT @@global.gtid_slave_pos").await?)? {
        let most = all.entry(key).or_default();
        *most = number.max(*most);
    }
    Ok(all)
}

fn numbers(text: &Option<String>) -> std::result::Result<Numbers, Fault> {
    let text = text.as_deref().unwrap_or_default();
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let number = |part: &str| {
        let mut fields = part.splitn(3, '-');
        let (domain, server) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        Some(((domain, server), fields.next()?.parse().ok()?))
    };
    let odd = |part: &str| Fault::Odd(format!("'{part}' is no domain-server-number"));
    parts.map(|part| number(part).ok_or_else(|| odd(part))).collect()
}

fn set(text: &str) -> std::result::Result<GtidSet, Fault> {
    text.parse().map_err(|error| Fault::Odd(format!("{error}")))
}

/// `uuid:7#12`: a GTID without the session that owns it.
fn without_owners(owned: &str) -> String {
    let mut text = String::with_capacity(owned.len());
    let mut owner = false;
    for character in owned.chars() {
        owner = character == '#' || (owner && character.is_ascii_digit());
        if !owner {
            text.push(character);
        }
    }
    text
}

fn on(text: &str) -> bool {
    text == "1" || text.eq_ignore_ascii_case("on")
}

/// The first value of an answer.
async fn ask(link: &mut Link, sql: &str) -> std::result::Result<Option<String>, Fault> {
    Ok(link.ask(sql).await?.rows.into_iter().next().and_then(|row| row.into_iter().next().flatten()))
}

/// The value beside a name.
async fn pair(link: &mut Link, sql: &str) -> std::result::Result<Option<String>, Fault> {
    Ok(link.ask(sql).await?.rows.into_iter().next().and_then(|row| row.into_iter().nth(1).flatten()))
}

/// An answer, or none where the server does not know or does not say.
fn optional<T>(answer: std::result::Result<Option<T>, Fault>) -> std::result::Result<Option<T>, Fault> {
    match answer {
        Err(fault) if fault.is_server() => Ok(None),
        answer => answer,
    }
}

#[cfg(test)]
mod tests {
    use super::feeds::Feed;
    use super::*;

    fn mark(own: Option<Own>, log: Option<(&str, u64)>) -> Mark {
        let log = log.map(|(file, offset)| (file.to_owned(), offset));
        Mark { seat: 1, server_id: 7, own, log, galera: None }
    }

    #[test]
    fn a_number_counts_for_its_server_and_domain_alone() {
        let of = |text: &str| numbers(&Some(text.to_owned())).unwrap();
        let own = Own::Numbers(of("0-7-100,3-7-5"));
        for (applied, covered) in [
            ("0-7-100,3-7-5", true),
            ("0-7-101,3-7-9,0-8-1", true),
            ("0-7-99,3-7-5", false),
            ("0-8-200,3-7-5", false),
            ("0-7-100", false),
            ("", false),
        ] {
            assert_eq!(covers(Some(&own), &of(applied), &GtidSet::new()), covered, "{applied}");
        }
        assert!(covers(Some(&Own::Numbers(Numbers::new())), &Numbers::new(), &GtidSet::new()));
        assert!(!covers(None, &of("0-7-100"), &GtidSet::new()));
        assert!(numbers(&Some("0-7".into())).is_err());
        let set = |text: &str| text.parse::<GtidSet>().unwrap();
        assert!(covers(Some(&Own::Set(set("a:1-3"))), &Numbers::new(), &set("a:1-4,b:1")));
        assert!(!covers(Some(&Own::Set(set("a:1-3,c:1"))), &Numbers::new(), &set("a:1-4,b:1")));
    }

    #[test]
    fn files_are_compared_by_number_and_for_the_server_that_wrote_them() {
        let feed = |source_id, file: &str, offset| Feed { source_id, file: file.to_owned(), offset };
        let wanted = mark(None, Some(("bin.000009", 500)));
        for (feed, reached) in [
            (feed(7, "bin.000009", 500), true),
            (feed(7, "bin.000010", 4), true),
            (feed(7, "bin.1000000", 4), true),
            (feed(7, "bin.000009", 499), false),
            (feed(8, "bin.000010", 4), false),
            (feed(7, "log.000010", 4), false),
            (feed(7, "", 0), false),
        ] {
            assert_eq!(feed.reaches(&wanted), reached, "{}:{}", feed.file, feed.offset);
        }
        assert!(!feed(7, "bin.000010", 4).reaches(&mark(None, None)));
    }

    #[test]
    fn owners_are_left_out() {
        assert_eq!(without_owners("a-b:7#12:8#13,\nc:1#9"), "a-b:7:8,\nc:1");
        assert_eq!(without_owners(""), "");
    }
}
