//! `evensum sync`: checks, plans the repair, and with `--execute` carries it out.
//!
//! Two signals stand before the first change: `--execute`, and an approval (`--yes`, or what a person types). A plan
//! of more rows than `--max-rows` is refused. What is carried out is exactly the plan that was printed.
//!
//! Invariant: without `--execute` nothing here holds a writer. Not here: deciding (`syncer::policy`), guarding
//! (`syncer::execute`).

mod approval;

use crate::cli::{Firing, SyncArgs};
use crate::clock;
use crate::cluster::{Cluster, Connected, Scope, menders, named};
use crate::commands::check::{compare, is_whole, outcome, unmatched};
use crate::commands::{place, run_name};
use crate::config;
use crate::error::{Failure, Outcome, without_secret};
use crate::gentle::Watch;
use crate::output;
use crate::render;
use crate::signals;
use crate::state::{self, State};
use checker::{Checkpoint, Divergence, Gate, Report, Selection, Stop};
use database::mysql::Triggers;
use database::{Mending, Reader, Reference, Writer};
use futures_util::future::try_join_all;
use std::io::IsTerminal;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use syncer::{ExecuteError, Journal, Manners, Options, Plan, PlannedNode, Policies, Policy, Summary};

/// More rows than this are not changed, unless said otherwise.
const MAX_ROWS: u64 = 1_000;
/// What the command works with.
struct Site {
    args: SyncArgs,
    cluster: Cluster,
    scope: Scope,
    state: State,
    connected: Vec<Connected>,
    run: String,
    stop: Stop,
}

/// Runs the command.
pub async fn run(args: SyncArgs) -> Result<Outcome, Failure> {
    let cluster = Cluster::resolve(&args.cluster, 2)?;
    let mut scope = cluster.scope(&args.selection)?;
    scope.options.triggers = firing(args.triggers);
    let run = run_name(args.name.as_deref())?;
    let default = args.policy.as_deref().or(cluster.config.sync.policy.as_deref()).map(policy).transpose()?;
    let state = State::open(&state::folder(scope.state.as_deref())?)?;
    let stop = Stop::new();
    let interrupt = signals::watch(&stop)?;
    if args.until_input_ends {
        signals::watch_input(&stop);
    }
    let connected = cluster.connect(&scope.options).await?;
    let policies = policies(default, &cluster.config.sync, &connected)?;
    let identities: Vec<String> = connected.iter().map(|node| node.identity.server_uuid.clone()).collect();
    let _lock = state.lock(&identities)?;
    state.begin(&run, "sync", &cluster.name)?;
    let site = Site { args, cluster, scope, state, connected, run, stop };
    let ended = site.run(&policies).await.inspect_err(|failure| site.state.fail(&site.run, failure))?;
    Ok(interrupt.outcome().unwrap_or(ended))
}

impl Site {
    async fn run(&self, policies: &Policies) -> Result<Outcome, Failure> {
        let (plan, report) = self.plan(policies).await?;
        if let Some(path) = &self.args.plan {
            plan.save(path).map_err(|error| {
                Failure::system(format!("the plan cannot be written to {}: {error}", path.display()))
            })?;
        }
        let before = report.as_ref().map_or(Outcome::Different, |report| outcome(report, &self.scope));
        if self.args.execute.is_none() || self.stop.raised() {
            return self.print_plan(&plan, report.as_ref(), before).await;
        }
        if plan.steps.is_empty() {
            return self.finish(&plan, report.as_ref(), &Summary::default());
        }
        match (self.args.json, self.args.yes) {
            (false, _) => output::print(&plan.to_sql())?,
            // stdout is for the document; who approves must see what
            (true, false) => output::note(&plan.to_sql()),
            (true, true) => {}
        }
        self.refuse_galera(&plan)?;
        self.refuse_logged(&plan).await?;
        self.below(&plan).await?.iter().for_each(|line| output::note(&format!("evensum: {line}")));
        if self.args.triggers == Firing::Fire {
            output::note(
                "evensum: triggers fire; what they change is not in the plan, not in the log, and is not undone; it can stand in the way of \
                 what arrives later, and in tables without transactions it stays even of edits that are called off",
            );
        }
        self.refuse_too_much(&plan)?;
        approval::ask(&plan, self.args.yes, self.args.cluster.access.no_input)?;
        self.note(&plan)?;
        let summary = self.execute(&plan).await?;
        self.finish(&plan, report.as_ref(), &summary)
    }

    /// Notes in the audit log who changes rows, before any is changed.
    fn note(&self, plan: &Plan) -> Result<(), Failure> {
        let action = if self.args.undo.is_some() { "undo" } else { "repair" };
        // a run of the service is begun by whom its row names
        let begun_by = self.state.find(&self.run)?.filter(|run| run.arguments.is_some()).map(|run| run.cause);
        let hash = blake3::hash(plan.to_sql().as_bytes()).to_hex();
        let detail = format!("{} edits, SQL {hash}", plan.steps.len());
        self.state.audit(&begun_by.unwrap_or_else(place::who), action, &self.run, &detail)
    }

    /// The plan: from a file, from the journal of a run to undo, or from a check made now.
    async fn plan(&self, policies: &Policies) -> Result<(Plan, Option<Report>), Failure> {
        if let Some(path) = self.args.execute.as_deref().filter(|path| !path.is_empty()) {
            let path = Path::new(path);
            let plan = Plan::load(path).map_err(|error| unusable("the plan", path, &error))?;
            return Ok((plan, None));
        }
        if let Some(run) = &self.args.undo {
            let path = self.state.journal(&run_name(Some(run))?);
            let journal = Journal::open(&path).map_err(|error| unusable("the journal", &path, &error))?;
            let references = self.references().await?;
            return Ok((syncer::undo_plan(&journal, &references), None));
        }
        let report = match &self.args.run {
            None => {
                compare(&self.run, &self.connected, &self.scope, Checkpoint::default(), &self.stop).await?
            }
            Some(run) => self.compare_found(run).await?,
        };
        self.state.keep_found(&report)?;
        for pattern in unmatched(&report, &self.scope) {
            output::note(&format!("evensum: no table matches '{pattern}'"));
        }
        let nodes: Vec<PlannedNode> = self.connected.iter().map(planned).collect();
        let asking = self.args.execute.is_some() && !self.args.cluster.access.no_input;
        let asking = asking && std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        let references = if report.divergences.is_empty() { Vec::new() } else { self.references().await? };
        let plan = syncer::make_plan(&report, &nodes, &references, |divergence| {
            match policy_of(policies, divergence) {
                Some(Policy::Ask) if asking => approval::choose(divergence),
                _ => policies.decide(divergence),
            }
        });
        Ok((plan, Some(report)))
    }

    /// The foreign keys of all nodes: by them edits are put in order.
    async fn references(&self) -> Result<Vec<Reference>, Failure> {
        let asked = self.connected.iter().map(async |node| {
            let mut connection = node.another(&self.scope.options).await?;
            Ok::<_, Failure>(connection.references().await?)
        });
        Ok(try_join_all(asked).await?.concat())
    }

    /// Compares the rows again that a run found, and no others.
    async fn compare_found(&self, run: &str) -> Result<Report, Failure> {
        let Some(found) = self.state.found(&run_name(Some(run))?, self.connected.len())? else {
            let known = self.state.find(run)?.is_some();
            let what = if known { "found no row that differs" } else { "is not known here" };
            let advice = "evensum runs lists those that there are; without --run all rows are compared";
            return Err(Failure::usage(format!("the run '{run}' {what}"), advice));
        };
        let selection = self.scope.selection.clone().among(found.tables.keys().cloned().collect());
        let scope = Scope { selection, ..self.scope.clone() };
        compare(&self.run, &self.connected, &scope, found, &self.stop).await
    }

    /// The servers below the nodes that are mended that are no nodes of this run: an edit outside the log does not reach them.
    async fn below(&self, plan: &Plan) -> Result<Vec<String>, Failure> {
        let mut lines = Vec::new();
        for node in &self.connected {
            if !plan.steps.iter().any(|step| step.node == node.target.name) {
                continue;
            }
            let name = &node.target.name;
            match node.another(&self.scope.options).await?.replicas().await? {
                None => lines.push(format!(
                    "{name} does not tell this user which servers it feeds; what is mended there does not reach them"
                )),
                Some(replicas) => {
                    let listed = |id: &String| self.connected.iter().any(|known| known.identity.server_id == *id);
                    lines.extend(replicas.into_iter().filter(|replica| !listed(&replica.server_id)).map(|replica| {
                        format!(
                            "{name} feeds {} (server {}), which is not listed; what is mended on {name} does not reach it: check it as a \
                             node of its own",
                            replica.address, replica.server_id
                        )
                    }));
                }
            }
        }
        Ok(lines)
    }

    async fn print_plan(
        &self,
        plan: &Plan,
        report: Option<&Report>,
        before: Outcome,
    ) -> Result<Outcome, Failure> {
        let below = self.below(plan).await?;
        below.iter().for_each(|line| output::note(&format!("evensum: {line}")));
        let mut document = render::repair::document(&self.run, plan, report, None);
        document["below"] = below.into();
        // a repair that was stopped before it changed anything is no plan that somebody asked for
        let verdict = if self.args.execute.is_some() { "stopped" } else { "planned" };
        let numbers = render::summary::repair(plan, None).to_string();
        self.state.finish(&self.run, verdict, &numbers, &document.to_string())?;
        if self.args.json {
            output::print(&render::json::text(&document))?;
        } else {
            output::print(&plan.to_sql())?;
            output::note(&render::repair::planned(plan, report));
        }
        Ok(before)
    }

    /// Refuses a plan that mends a node of a Galera cluster: an edit would go to all nodes, and a node on which it cannot be
    /// applied would be put out of the cluster.
    fn refuse_galera(&self, plan: &Plan) -> Result<(), Failure> {
        let mends = |node: &&Connected| plan.steps.iter().any(|step| step.node == node.target.name);
        match self.connected.iter().filter(|node| node.identity.galera).find(mends) {
            None => Ok(()),
            Some(node) => Err(Failure::refused(
                format!("{} replicates by Galera, which keeps no edit on one node", node.target.name),
                "let the wrong node take a new state transfer from a right one, then check again",
            )),
        }
    }

    /// Refuses a plan for a node on which this user cannot write outside the log.
    async fn refuse_logged(&self, plan: &Plan) -> Result<(), Failure> {
        for node in &self.connected {
            if plan.steps.iter().any(|step| step.node == node.target.name) {
                node.another(&self.scope.options).await?.guard(&[]).await?;
            }
        }
        Ok(())
    }

    fn refuse_too_much(&self, plan: &Plan) -> Result<(), Failure> {
        let most = self.args.max_rows.or(self.cluster.config.sync.max_rows).unwrap_or(MAX_ROWS);
        let rows = plan.rows();
        if rows <= most {
            return Ok(());
        }
        Err(Failure::refused(
            format!("the plan changes {rows} rows, and --max-rows is {most}"),
            format!("look at the plan; if it is right, allow it with --max-rows {rows}"),
        ))
    }

    async fn execute(&self, plan: &Plan) -> Result<Summary, Failure> {
        let members = menders(&self.connected, &self.scope.options).await?;
        let path = self.state.journal(&self.run);
        let mut journal = Journal::create(&path, &self.run, &plan.nodes)
            .map_err(|error| unusable("the journal", &path, &error))?;
        state::private_file(&path).map_err(|error| unusable("the journal", &path, &error))?;
        let options =
            Options { run: clock::ledger_run(&self.run).into(), settle_bound: self.scope.settle_bound };
        let mut line = crate::progress::Count::new("rows mended", plan.steps.len());
        line.show_by(self.state.beacon(&self.run));
        let gate = Arc::new(Gate::new());
        let gentle = &self.scope.gentle;
        let watch = Watch::begin(&self.connected, &self.scope.options, gentle, &gate).await?;
        let manners = Manners {
            gate: &gate,
            intensity: gentle.intensity,
            pauses: &line,
            done: &|done| line.set(done),
            stop: &self.stop,
        };
        let summary = syncer::execute(plan, members, &mut journal, &options, manners).await;
        drop(watch);
        line.finish();
        summary.map_err(|error| self.failed(error, &path))
    }

    /// What a person is told when a repair ends early.
    fn failed(&self, error: ExecuteError, journal: &Path) -> Failure {
        let undo = format!("{}; evensum sync --undo {} plans to put it back", journal.display(), self.run);
        match error {
            ExecuteError::Identity { .. } => {
                Failure::refused(error.to_string(), "plan again, against the servers that are there now")
            }
            ExecuteError::Absent(_) => Failure::usage(error.to_string(), "name all nodes of the plan"),
            ExecuteError::Database(inner) => Failure {
                changed: Some(format!("If rows were changed before, they are in {undo}.")),
                ..Failure::from(inner)
            },
            ExecuteError::Journal(inner) => Failure {
                changed: Some(format!("Nothing was changed that is not in {undo}.")),
                ..unusable("the journal", journal, &inner)
            },
        }
    }

    fn finish(&self, plan: &Plan, report: Option<&Report>, summary: &Summary) -> Result<Outcome, Failure> {
        let document = render::repair::document(&self.run, plan, report, Some(summary));
        let ended = match self.args.undo.is_some() {
            // that rows differ again is what was asked for
            true if count_as_wanted(summary) == plan.steps.len() => Outcome::Identical,
            true => Outcome::Incomplete,
            false => ended(plan, report, summary, &self.scope),
        };
        let verdict = match ended {
            Outcome::Identical if self.args.undo.is_some() => "undone",
            Outcome::Identical => "identical",
            Outcome::Different => "different",
            _ => "unfinished",
        };
        let numbers = render::summary::repair(plan, Some(summary)).to_string();
        let kept = self.state.finish(&self.run, verdict, &numbers, &document.to_string());
        let told = kept.and_then(|()| match self.args.json {
            true => output::print(&render::json::text(&document)),
            false => {
                let firing = if self.args.triggers == Firing::Fire { " --triggers fire" } else { "" };
                let run = format!("{}{firing}", self.run);
                output::print(&render::repair::done(&run, plan, report, summary))
            }
        });
        match (told, count_mended(summary)) {
            (Ok(()), _) => Ok(ended),
            (Err(failure), 0) => Err(failure),
            (Err(failure), rows) => {
                let journal = self.state.journal(&self.run);
                let changed = format!("{rows} rows were changed; they are in {}.", journal.display());
                Err(Failure { changed: Some(changed), ..failure })
            }
        }
    }
}

/// How a repair ends: identical only if every row that the check or the plan named is now seen to be.
fn ended(plan: &Plan, report: Option<&Report>, summary: &Summary, scope: &Scope) -> Outcome {
    let left = !plan.undecided.is_empty() || report.is_some_and(|report| report.unlisted > 0);
    let refused = summary.count(|mending| matches!(mending, Mending::Refused(_))) > 0;
    if left || refused || !summary.different.is_empty() {
        return Outcome::Different;
    }
    let mended = count_as_wanted(summary) == plan.steps.len();
    // the rows that were found are mended now; what was never compared to the end is still unknown
    let whole = report.is_none_or(|report| is_whole(report, scope));
    if whole && mended && summary.rows_unsettled == 0 { Outcome::Identical } else { Outcome::Incomplete }
}

fn count_as_wanted(summary: &Summary) -> usize {
    summary.count(|mending| matches!(mending, Mending::Mended | Mending::Already))
}

fn count_mended(summary: &Summary) -> usize {
    summary.count(|mending| *mending == Mending::Mended)
}

/// The policy of a divergence's table.
fn policy_of<'a>(policies: &'a Policies, divergence: &Divergence) -> Option<&'a Policy> {
    let (database, name) = (&divergence.table.database, &divergence.table.name);
    let own = policies.tables.iter().find(|(tables, _)| tables.contains(database, name));
    own.map(|(_, policy)| policy).or(policies.default.as_ref())
}

fn unusable(what: &str, path: &Path, why: &dyn std::fmt::Display) -> Failure {
    Failure::usage(format!("{what} {} cannot be used: {why}", path.display()), "")
}

fn planned(node: &Connected) -> PlannedNode {
    PlannedNode { name: node.target.name.clone(), identity: node.identity.server_uuid.as_str().into() }
}

fn firing(said: Firing) -> Triggers {
    match said {
        Firing::Refuse => Triggers::Refuse,
        Firing::Skip => Triggers::Skip,
        Firing::Fire => Triggers::Fire,
    }
}

fn policy(text: &str) -> Result<Policy, Failure> {
    Policy::from_str(text).map_err(|why| {
        // the parser repeats what it was given
        let why = if without_secret(text) == text { why } else { "what was given is no policy".to_owned() };
        Failure::usage(why, "for example --policy majority")
    })
}

/// The policies of a run, with every node that they name found among the nodes.
fn policies(
    default: Option<Policy>,
    config: &config::Sync,
    connected: &[Connected],
) -> Result<Policies, Failure> {
    let resolved = |mut policy: Policy| {
        let said = policy.to_string();
        if let Some(node) = policy.node() {
            let Some(name) = named(connected, node) else {
                let names: Vec<&str> = connected.iter().map(|node| node.target.name.as_ref()).collect();
                let what = format!("{} names no node of this cluster", without_secret(&said));
                return Err(Failure::usage(what, format!("the nodes are {}", names.join(", "))));
            };
            *node = name.into();
        }
        Ok(policy)
    };
    let tables = config.tables.iter().map(|(pattern, text)| {
        let tables = Selection::new(std::slice::from_ref(pattern), &[])
            .map_err(|error| Failure::config(error.to_string(), "see [sync.tables] of the configuration"))?;
        Ok((tables, resolved(policy(text)?)?))
    });
    Ok(Policies {
        default: default.map(resolved).transpose()?,
        tables: tables.collect::<Result<_, Failure>>()?,
    })
}
