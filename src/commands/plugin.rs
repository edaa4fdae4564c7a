//! `evensum monitor-plugin` and `evensum metrics`: how the cluster stands, for other programs, from the state folder alone.
//!
//! The plug-in answers as Nagios' guidelines say: one line, a bar, performance data; exit 0, 1, 2 or 3. Whatever it cannot say is
//! unknown, and never well.

use super::place;
use crate::cli::{MetricsArgs, PluginArgs};
use crate::clock;
use crate::error::{Failure, Outcome};
use crate::output;
use crate::serve::{metrics, view};
use crate::state::TableState;
use std::io::Write;

const OK: u8 = 0;
const WARNING: u8 = 1;
const CRITICAL: u8 = 2;
const UNKNOWN: u8 = 3;
/// How many tables are named.
const NAMED: usize = 3;

/// Runs `evensum monitor-plugin`.
pub fn run(args: &PluginArgs) -> Result<Outcome, Failure> {
    let (code, line) =
        judge(args).unwrap_or_else(|failure| (UNKNOWN, format!("{}: {}", failure.code, failure.what)));
    let word = ["OK", "WARNING", "CRITICAL", "UNKNOWN"][usize::from(code.min(UNKNOWN))];
    // a bar begins the performance data, and a line is one line
    output::print(&format!("{word} - {}\n", line.replace(['\n', '\r'], " ")))?;
    Ok(Outcome::Bits(code))
}

fn judge(args: &PluginArgs) -> Result<(u8, String), Failure> {
    let place = place::open(&args.place)?;
    let cluster = place.cluster()?;
    let tables = place.state.tables(&cluster)?;
    let tables = match &place.setup {
        Some(setup) => view::of_nodes(tables, &setup.nodes.names().collect::<Vec<_>>()),
        None => tables,
    };
    let limits = (args.warning.as_secs(), args.critical.as_secs());
    Ok(answer(&cluster, &tables, limits, clock::now_seconds()))
}

/// The answer: what differs first, then how old what is known is (of the table that was looked at least lately), then what is not
/// known.
fn answer(cluster: &str, tables: &[TableState], (warning, critical): (u64, u64), now: u64) -> (u8, String) {
    let plain = |text: &str| text.replace('|', "/");
    let cluster = if cluster.is_empty() { "any cluster".to_owned() } else { plain(cluster) };
    let Some(oldest) = tables.iter().map(|table| table.checked_at).min() else {
        return (UNKNOWN, format!("no table of {cluster} was ever compared"));
    };
    let different: Vec<&TableState> = tables.iter().filter(|table| table.different_since.is_some()).collect();
    let open =
        tables.iter().filter(|table| table.verdict != "identical" && table.different_since.is_none()).count();
    let rows: u64 = different.iter().map(|table| table.rows_different).sum();
    let age = now.saturating_sub(oldest);
    let data = format!(
        "rows_different={rows};0;0;0 tables_different={};0;0;0 tables_open={open};0;;0 age={age}s;{warning};{critical};0",
        different.len()
    );
    let ago = match age {
        0..120 => format!("{age} s"),
        120..7_200 => format!("{} min", age / 60),
        _ => format!("{} h", age / 3_600),
    };
    let old = || format!("a table of {cluster} was last compared {ago} ago");
    let (code, text) = if !different.is_empty() {
        let rows = |table: &&TableState| format!("{} {} rows", plain(&table.name), table.rows_different);
        let named = different.iter().take(NAMED).map(rows).collect::<Vec<_>>().join(", ");
        let more = if different.len() > NAMED { ", …" } else { "" };
        let count = match different.len() {
            1 => "1 table differs".to_owned(),
            count => format!("{count} tables differ"),
        };
        (CRITICAL, format!("{count} ({named}{more}) in {cluster}; last check {ago} ago"))
    } else if age > critical {
        (CRITICAL, old())
    } else if age > warning {
        (WARNING, old())
    } else if open > 0 {
        (
            WARNING,
            format!(
                "{open} of {} tables of {cluster} not compared to the end; last check {ago} ago",
                tables.len()
            ),
        )
    } else {
        (OK, format!("{} tables of {cluster} identical; last check {ago} ago", tables.len()))
    };
    (code, format!("{text} | {data}"))
}

/// Runs `evensum metrics`.
pub fn metrics(args: &MetricsArgs) -> Result<Outcome, Failure> {
    let place = place::open(&args.place)?;
    let names: Vec<&str> =
        place.setup.iter().flat_map(|setup| setup.sinks.iter()).map(|sink| sink.name()).collect();
    let text = metrics::text(&place.state, &place.cluster()?, None, None, &names)?;
    let Some(path) = &args.textfile else {
        output::print(&text)?;
        return Ok(Outcome::Identical);
    };
    let unwritten =
        |error: std::io::Error| Failure::system(format!("cannot write {}: {error}", path.display()));
    // a collector must never read half of it
    let beside = path.with_extension(format!("{}.tmp", std::process::id()));
    let mut file = std::fs::File::create(&beside).map_err(unwritten)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(unwritten)?;
    std::fs::rename(&beside, path).map_err(unwritten)?;
    Ok(Outcome::Identical)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Kinds;

    fn table(name: &str, rows_different: u64) -> TableState {
        TableState {
            name: name.into(),
            verdict: "identical".into(),
            run: "r".into(),
            checked_at: 100,
            rows: 10,
            rows_different,
            rows_unsettled: 0,
            kinds: Kinds::default(),
            chunks: Vec::new(),
            reason: None,
            clean_at: Some(100),
            different_since: (rows_different > 0).then_some(100),
            nodes: Vec::new(),
        }
    }

    #[test]
    fn a_plug_in_answers_as_nagios_reads() {
        let said = |tables: &[TableState], now| answer("shop", tables, (1_000, 2_000), now);
        let (code, line) = said(&[table("shop.orders", 3), table("shop.a|b", 1), table("shop.c", 0)], 18_100);
        assert_eq!(code, CRITICAL);
        assert_eq!(
            line,
            "2 tables differ (shop.orders 3 rows, shop.a/b 1 rows) in shop; last check 5 h ago | rows_different=4;0;0;0 \
             tables_different=2;0;0;0 tables_open=0;0;;0 age=18000s;1000;2000;0"
        );
        for (now, code) in [(1_100, OK), (1_101, WARNING), (2_100, WARNING), (2_101, CRITICAL)] {
            assert_eq!(said(&[table("a.b", 0)], now).0, code, "{now}");
        }
        // one table that was not looked at for long is enough
        let lately = TableState { checked_at: 2_000, ..table("a.c", 0) };
        assert_eq!(said(&[table("a.b", 0), lately.clone()], 2_101).0, CRITICAL);
        let unsettled = TableState { verdict: "unsettled".into(), ..lately };
        assert_eq!(said(&[unsettled], 2_101).0, WARNING);
        assert_eq!(said(&[], 5).0, UNKNOWN);
    }
}
