//! From what a person named to connections: which nodes, with which passwords, and that each is another server.
//!
//! Invariant: no two members of a cluster are the same server, by address, by name, or by what the server says of itself:
//! comparing a node with itself would always say *identical*.
//! Not here: what is then done with the nodes.

use crate::cli::{ClusterArgs, SelectionArgs, duration};
use crate::config::{Config, Node as NodeConfig};
use crate::error::Failure;
use crate::gentle::Gentle;
use crate::marks::Marks;
use crate::option_file::OptionFile;
use crate::password::{self, Sources};
use checker::Selection;
use database::Secret;
use database::mysql::clone::Way;
use database::mysql::{Board, Connection, Identity, LedgerConnection, Options, PositionConnection};
use database::target::{Said, Target};
use futures_util::future::{join_all, try_join, try_join_all, try_join3};
use std::path::PathBuf;
use std::time::Duration;

/// How long rows that differ may take to settle, unless said otherwise.
const SETTLE_BOUND: Duration = Duration::from_secs(30);
/// The ledger keeps a node's name in a column of this length.
const NAME_CHARACTERS_MAX: usize = 64;

/// A node that is not connected yet.
#[derive(Clone, Debug)]
struct Node {
    target: Target,
    sources: Sources,
}

/// The nodes of a cluster, and what its configuration says.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// What it is called.
    pub name: String,
    nodes: Vec<Node>,
    /// The configuration, empty if there is none.
    pub config: Config,
    no_input: bool,
}

/// A node that answers.
#[derive(Debug)]
pub struct Connected {
    /// How it was reached.
    pub target: Target,
    secret: Option<Secret>,
    /// Which server it is.
    pub identity: Identity,
    /// Whether it is a follower: nothing begins there that reaches the others.
    pub follower: bool,
    /// The connection.
    pub connection: Connection,
}

/// What to compare, and for how long to wait, from the command line and the configuration.
#[derive(Clone, Debug)]
pub struct Scope {
    /// The tables and rows.
    pub selection: Selection,
    /// The longest wait for one exchange of watermarks.
    pub settle_bound: Duration,
    /// How to connect.
    pub options: Options,
    /// Whether nothing is written on the nodes, evensum's own tables neither.
    pub no_ledger: bool,
    /// The folder of runs and journals, if one was said.
    pub state: Option<PathBuf>,
    /// When to hold back.
    pub gentle: Gentle,
}

impl Cluster {
    /// Finds out which nodes are meant, without asking any of them.
    pub fn resolve(args: &ClusterArgs, least: usize) -> Result<Cluster, Failure> {
        let environment = || {
            let path = std::env::var_os("EVENSUM_CONFIG").map(PathBuf::from);
            path.filter(|path| !path.as_os_str().is_empty() && args.nodes.is_empty())
        };
        let config = match args.config.clone().or_else(environment) {
            Some(path) => Config::read(&path)?,
            None => Config::default(),
        };
        let shared = Shared {
            password_file: args.access.password_file.clone().or_else(|| config.cluster.password_file.clone()),
            option_file: args.access.defaults_file.clone().or_else(|| config.cluster.defaults_file.clone()),
            said: config.cluster.encryption()?,
        };
        let nodes: Vec<Node> = if args.nodes.is_empty() {
            config.cluster.nodes.iter().map(|node| from_config(node, &shared)).collect::<Result<_, _>>()?
        } else {
            args.nodes.iter().map(|text| from_text(text, &shared)).collect::<Result<_, _>>()?
        };
        if nodes.len() < least {
            let what = match (nodes.len(), least) {
                (0, 1) => "no node was named".to_owned(),
                (named, _) => format!("{named} nodes were named, and it takes at least two to compare"),
            };
            let advice = "name the nodes, as in mysql://root@127.0.0.1:3306, or a file with --config";
            return Err(Failure::usage(what, advice));
        }
        refuse_doubles(&nodes)?;
        // what is known of a cluster is known of its nodes: others have another name, also beside its configuration
        let configured = config.cluster.name.clone().filter(|_| args.nodes.is_empty());
        let name = configured.unwrap_or_else(|| {
            nodes.iter().map(|node| node.target.name.as_ref()).collect::<Vec<_>>().join(", ")
        });
        Ok(Cluster { name, nodes, config, no_input: args.access.no_input })
    }

    /// How many nodes it has.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// What its nodes are called.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.nodes.iter().map(|node| &*node.target.name)
    }

    /// Whether a person means one of its nodes by this, a name or `host:port`.
    pub fn has(&self, text: &str) -> bool {
        let is =
            |target: &Target| *target.name == *text || format!("{}:{}", target.host, target.port) == text;
        self.nodes.iter().any(|node| is(&node.target))
    }

    /// What to compare: what the command line says, else the configuration.
    pub fn scope(&self, args: &SelectionArgs) -> Result<Scope, Failure> {
        let check = &self.config.check;
        let or = |said: &[String], configured: &[String]| {
            if said.is_empty() { configured.to_vec() } else { said.to_vec() }
        };
        let mut selection =
            Selection::new(&or(&args.tables, &check.tables), &or(&args.ignore_tables, &check.ignore_tables))
                .map_err(|error| {
                    Failure::usage(error.to_string(), "quote patterns, as in --tables 'shop.*'")
                })?;
        selection.filter = args.filter.clone().or_else(|| check.filter.clone()).map(Into::into);
        let configured = match &check.settle {
            Some(text) => Some(duration(text).map_err(|why| {
                Failure::config(
                    format!("settle = \"{text}\" is no time: {why}"),
                    "for example settle = \"30s\"",
                )
            })?),
            None => None,
        };
        let mut options = Options::default();
        if let Some(ledger) = args.ledger.as_deref().or(check.ledger.as_deref()) {
            options.ledger = ledger.into();
        }
        Ok(Scope {
            selection,
            settle_bound: args.settle.or(configured).unwrap_or(SETTLE_BOUND),
            options,
            no_ledger: check.no_ledger,
            state: args.state.clone().or_else(|| self.config.state.clone()),
            gentle: Gentle::resolve(&args.gentle, check)?,
        })
    }

    /// Connects to every node; the failures are in the order of the nodes.
    pub async fn connect_each(&self, options: &Options) -> Vec<(Target, Result<Connected, Failure>)> {
        // all at once where nobody has to be asked, one after the other where somebody has
        let first = join_all(self.nodes.iter().map(|node| node.connect(options))).await;
        let mut each = Vec::with_capacity(first.len());
        for (node, result) in self.nodes.iter().zip(first) {
            let result = match result {
                Ok(connected) => Ok(connected),
                Err(Attempt::NoPassword(failure)) if self.no_input => Err(failure),
                Err(Attempt::NoPassword(failure)) => node.connect_asking(options, failure).await,
                Err(Attempt::Failed(failure)) => Err(failure),
            };
            each.push((node.target.clone(), result));
        }
        each
    }

    /// Connects to every node, or says which cannot be reached.
    pub async fn connect(&self, options: &Options) -> Result<Vec<Connected>, Failure> {
        let each = self.connect_each(options).await;
        let mut connected: Vec<Connected> =
            each.into_iter().map(|(_, result)| result).collect::<Result<_, _>>()?;
        refuse_same_servers(&connected)?;
        find_followers(&mut connected).await;
        Ok(connected)
    }
}

/// What all nodes share that have nothing of their own.
struct Shared {
    password_file: Option<PathBuf>,
    option_file: Option<PathBuf>,
    said: Said,
}

/// Why a first attempt failed.
enum Attempt {
    /// The node wants a password, and none was said.
    NoPassword(Failure),
    Failed(Failure),
}

impl Node {
    /// Fills what was not said of a node from its own option file, or the shared one, or the user's own.
    fn new(said: Said, shared: &Shared, own: Option<&PathBuf>) -> Result<Node, Failure> {
        let path = said.option_file.clone().or_else(|| shared.option_file.clone());
        let options = OptionFile::open(path.as_deref())?;
        let target = said.or(shared.said.clone()).or(options.said.clone()).finish();
        if target.name.chars().count() > NAME_CHARACTERS_MAX {
            let advice = "give it a short name, as in mysql://root@host?name=north";
            return Err(Failure::usage(format!("the name {} is too long", target.name), advice));
        }
        let file = own.cloned().or_else(|| shared.password_file.clone());
        let sources = Sources { node: target.name.clone(), file, options };
        Ok(Node { target, sources })
    }

    async fn connect(&self, options: &Options) -> Result<Connected, Attempt> {
        let secret = password::find(&self.sources).map_err(Attempt::Failed)?;
        let asked = secret.is_none();
        let result = self.connect_with(secret, options).await;
        result.map_err(|error| match error {
            database::Error::Refused { .. } if asked => match Failure::from(error) {
                failure if failure.is_right() => Attempt::NoPassword(failure),
                failure => Attempt::Failed(failure),
            },
            error => Attempt::Failed(error.into()),
        })
    }

    async fn connect_asking(&self, options: &Options, failure: Failure) -> Result<Connected, Failure> {
        match password::ask(&self.target.name, &self.target.user)? {
            Some(secret) => Ok(self.connect_with(Some(secret), options).await?),
            None => Err(failure),
        }
    }

    async fn connect_with(
        &self,
        secret: Option<Secret>,
        options: &Options,
    ) -> Result<Connected, database::Error> {
        let mut connection = Connection::connect(&self.target, secret.as_ref(), options).await?;
        let identity = connection.identity().await?;
        Ok(Connected { target: self.target.clone(), secret, identity, follower: false, connection })
    }
}

impl Connected {
    /// A second connection to the same node.
    pub async fn another(&self, options: &Options) -> Result<Connection, Failure> {
        Ok(Connection::connect(&self.target, self.secret.as_ref(), options).await?)
    }

    /// How another node reaches this one, by the account that reached it here, and encrypted if that was.
    pub async fn way(&mut self) -> Result<Way, Failure> {
        Ok(Way {
            encrypted: self.connection.is_encrypted().await?,
            host: self.target.host.clone(),
            port: self.target.port,
            user: self.target.user.clone(),
            password: self.secret.clone().unwrap_or_default(),
        })
    }

    /// Whether the node lets this account in.
    pub async fn try_account(&self, user: &str, secret: &Secret, options: &Options) -> Result<(), Failure> {
        let target = Target { user: user.into(), ..self.target.clone() };
        Ok(Connection::connect(&target, Some(secret), options).await.map(drop)?)
    }

    /// A connection for asking where the node stands.
    async fn positions(&self, options: &Options, board: &Board) -> Result<PositionConnection, Failure> {
        let secret = self.secret.as_ref();
        let positions = PositionConnection::connect(&self.target, secret, options, board).await?;
        Ok(if self.follower { positions.of_follower() } else { positions })
    }

    /// A connection for evensum's own tables.
    pub async fn ledger(&self, options: &Options) -> Result<LedgerConnection, Failure> {
        let ledger = LedgerConnection::connect(&self.target, self.secret.as_ref(), options).await?;
        Ok(if self.follower { ledger.of_follower() } else { ledger })
    }
}

/// The members of a check, and what else it reads by, over connections of their own.
pub async fn crew(
    connected: &[Connected],
    scope: &Scope,
    lanes: usize,
) -> Result<checker::Crew<Connection, Marks>, Failure> {
    let (options, board) = (&scope.options, Board::default());
    let first = connected.first().ok_or_else(|| Failure::usage("no node was named", ""))?;
    let scout = first.another(options);
    let further = (1..lanes).map(async |_| {
        let readers = try_join_all(connected.iter().map(|node| node.another(options))).await?;
        Ok::<_, Failure>(checker::Lane { readers, scout: first.another(options).await? })
    });
    let members = connected.iter().map(async |node| {
        let ledger = async {
            Ok::<_, Failure>(match scope.no_ledger {
                false => Marks::Rows(node.ledger(options).await?),
                true => Marks::Positions(node.positions(options, &board).await?),
            })
        };
        let reader = node.another(options);
        let (ledger, reader) = try_join(ledger, reader).await?;
        Ok::<_, Failure>(checker::Member { name: node.target.name.clone(), reader, ledger })
    });
    let (scout, lanes, members) = try_join3(scout, try_join_all(further), try_join_all(members)).await?;
    Ok(checker::Crew { members, scout, lanes })
}

/// Creates a view of evensum's checksums in the form of pt-table-checksum's table, on the first node that is written and through
/// its log.
pub async fn create_view(connected: &[Connected], options: &Options, name: &str) -> Result<(), Failure> {
    let Some((database, view)) = name.split_once('.').filter(|(d, v)| !d.is_empty() && !v.is_empty()) else {
        let what = format!("--ledger-view {name} names no view");
        return Err(Failure::usage(what, "write DATABASE.VIEW, as in percona.checksums"));
    };
    let first = connected.iter().find(|node| !node.follower).or(connected.first());
    let node = first.ok_or_else(|| Failure::usage("no node was named", ""))?;
    Ok(node.ledger(options).await?.create_view(database, view).await?)
}

/// The members of a repair.
pub async fn menders(
    connected: &[Connected],
    options: &Options,
) -> Result<Vec<syncer::Member<Connection, LedgerConnection>>, Failure> {
    let members = connected.iter().map(async |node| {
        let (writer, ledger) = (node.another(options).await?, node.ledger(options).await?);
        let identity = node.identity.server_uuid.as_str().into();
        Ok::<_, Failure>(syncer::Member { name: node.target.name.clone(), identity, writer, ledger })
    });
    try_join_all(members).await
}

/// Finds the node that a person means by a name, or by `host:port`.
pub fn named<'a>(connected: &'a [Connected], text: &str) -> Option<&'a str> {
    let by_name = connected.iter().find(|node| *node.target.name == *text);
    let by_address =
        || connected.iter().find(|node| format!("{}:{}", node.target.host, node.target.port) == text);
    by_name.or_else(by_address).map(|node| node.target.name.as_ref())
}

fn from_text(text: &str, shared: &Shared) -> Result<Node, Failure> {
    let said: Said = text.parse().map_err(|error| Failure::target(text, &error))?;
    Node::new(said, shared, None)
}

fn from_config(node: &NodeConfig, shared: &Shared) -> Result<Node, Failure> {
    match node {
        NodeConfig::Address(text) => from_text(text, shared),
        NodeConfig::Detailed(node) => {
            let mut said: Said = node.url.parse().map_err(|error| Failure::target(&node.url, &error))?;
            said.name = node.name.clone().or(said.name);
            said.option_file = node.defaults_file.clone().or(said.option_file);
            Node::new(said, shared, node.password_file.as_ref())
        }
    }
}

/// Refuses two nodes of one address or of one name.
fn refuse_doubles(nodes: &[Node]) -> Result<(), Failure> {
    for (n, node) in nodes.iter().enumerate() {
        let target = &node.target;
        for before in nodes[..n].iter().map(|node| &node.target) {
            let same_host = before.host.eq_ignore_ascii_case(&target.host) && before.port == target.port;
            if before.socket == target.socket && (target.socket.is_some() || same_host) {
                let address = match &target.socket {
                    Some(socket) => socket.display().to_string(),
                    None => format!("{}:{}", target.host, target.port),
                };
                return Err(Failure::twice(format!("the node {address} is listed twice")));
            }
            if before.name == target.name {
                return Err(Failure::twice(format!("two nodes have the name {}", target.name)));
            }
        }
    }
    Ok(())
}

/// Finds the nodes that only follow: read-only ones that feed none of the others.
///
/// Where a node does not tell by whom it is fed (a right is missing), or where no node would be left that is written, all
/// count as masters: then a mark that cannot be written is a clear error, and one that does not arrive leaves rows unsettled.
async fn find_followers(connected: &mut [Connected]) {
    if connected.iter().all(|node| !node.identity.read_only) {
        return;
    }
    let mut sources = Vec::new();
    for node in connected.iter_mut() {
        let Ok(links) = node.connection.replication().await else { return };
        sources.extend(links.into_iter().map(|link| link.source_id));
    }
    let follows = |node: &Connected| node.identity.read_only && !sources.contains(&node.identity.server_id);
    if connected.iter().any(|node| !follows(node)) {
        connected.iter_mut().for_each(|node| node.follower = follows(node));
    }
}

/// Refuses two addresses of one server.
fn refuse_same_servers(connected: &[Connected]) -> Result<(), Failure> {
    for (n, node) in connected.iter().enumerate() {
        let same = |before: &&Connected| before.identity.server_uuid == node.identity.server_uuid;
        if let Some(before) = connected[..n].iter().find(same) {
            return Err(Failure::twice(format!(
                "{} and {} are the same server ({}), listed twice",
                before.target.name, node.target.name, node.identity.server_uuid
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(nodes: &[&str]) -> Result<Cluster, Failure> {
        let nodes = nodes.iter().map(|&node| node.to_owned()).collect();
        Cluster::resolve(&ClusterArgs { nodes, ..ClusterArgs::default() }, 2)
    }

    #[test]
    fn the_same_node_twice_is_refused_in_every_spelling() {
        for nodes in [
            ["mysql://root@127.0.0.1:3307", "mysql://root@127.0.0.1:3307"],
            ["mysql://root@DB1:3307?name=a", "h=db1,P=3307,u=other,n=b"],
            ["mysql://db1", "mysql://db1:3306"],
            ["mysql://a?name=x", "mysql://b?name=x"],
            ["h=a,S=/run/x", "h=b,S=/run/x"],
        ] {
            let failure = resolve(&nodes).unwrap_err();
            assert_eq!((failure.code, failure.outcome.code()), ("E0102", 3), "{failure}");
        }
        assert!(resolve(&["mysql://db1", "mysql://db1:3307"]).is_ok());
        assert!(resolve(&["h=a,S=/run/x", "h=a,S=/run/y"]).is_ok());
    }

    #[test]
    fn one_node_is_no_cluster() {
        for nodes in [&[][..], &["mysql://db1"]] {
            assert_eq!(resolve(nodes).unwrap_err().outcome.code(), 3);
        }
    }
}
