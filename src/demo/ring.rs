//! Circular replication: each master replicates from the one before it, and the first from the last.
//!
//! It is set up by the statements that one types on any MySQL, and watched by `SHOW SLAVE STATUS`.

use crate::demo::client::{Client, TextRow, column};
use crate::demo::retail;
use crate::demo::servers::Servers;
use crate::demo::tell::Tell;
use crate::error::Failure;
use std::time::{Duration, Instant};

/// How often a waiting loop looks again.
pub const POLL: Duration = Duration::from_millis(20);
/// What each link takes to deliver a transaction, at random: masters that stand in two towns.
const LINK_DELAY_MS: &str = "20:60";
/// How long replication may take to catch up.
const CATCH_UP_BOUND: Duration = Duration::from_secs(30);
/// How long a write may take to arrive everywhere.
const ARRIVAL_BOUND_S: u32 = 10;

/// Closes the ring.
pub async fn close(servers: &Servers, tell: &Tell) -> Result<(), Failure> {
    tell.step("They replicate in a circle, as MySQL does: asynchronously, 20 to 60 ms apart")?;
    for (n, server) in servers.list.iter().enumerate() {
        let Some(source) = servers.list.get((n + servers.list.len() - 1) % servers.list.len()) else {
            continue;
        };
        let change = format!(
            "CHANGE MASTER TO MASTER_HOST = '{}', MASTER_PORT = {}, MASTER_USER = 'root', MASTER_AUTO_POSITION = 1",
            source.address.ip(),
            source.address.port()
        );
        let delay = format!("SET GLOBAL evensum_link_delay_ms = '{LINK_DELAY_MS}'");
        let mut client = server.client().await?;
        for sql in [delay.as_str(), change.as_str(), "START SLAVE"] {
            tell.sql(&server.name, sql)?;
            client.run(sql).await?;
        }
    }
    until_well(servers).await
}

/// Makes the database on the first master, and waits until every other one has it.
pub async fn load(servers: &Servers, tell: &Tell) -> Result<(), Failure> {
    const SEED: u64 = 2_026;
    tell.step("A retail database is loaded into n1, and replicates")?;
    let (Some(first), start) = (servers.list.first(), Instant::now()) else { return Ok(()) };
    let mut client = first.client().await?;
    for sql in retail::schema() {
        client.run(sql).await?;
    }
    for sql in retail::rows(SEED) {
        client.run(&sql).await?;
    }
    let counts = counts(&mut client).await?;
    let listed: Vec<String> = retail::TABLES
        .iter()
        .zip(&counts)
        .map(|(table, rows)| format!("{rows} {}", table.replace('_', " ")))
        .collect();
    tell.say(&format!("    {} in {:.1} s", listed.join(", "), start.elapsed().as_secs_f64()))?;
    for server in &servers.list[1..] {
        let mut other = server.client().await?;
        while self::counts(&mut other).await.ok().as_ref() != Some(&counts) {
            if start.elapsed() > CATCH_UP_BOUND {
                return Err(Failure::demo(format!("{} did not get the rows of n1", server.name)));
            }
            tokio::time::sleep(POLL).await;
        }
    }
    tell.say(&format!("    all of it on every master after {:.1} s", start.elapsed().as_secs_f64()))
}

async fn counts(client: &mut Client) -> Result<Vec<String>, Failure> {
    let mut counts = Vec::new();
    for table in retail::TABLES {
        let rows = client.value(&format!("SELECT COUNT(*) FROM shop.{table}")).await?;
        counts.push(rows.unwrap_or_default());
    }
    Ok(counts)
}

/// The one row of `SHOW SLAVE STATUS`.
pub async fn slave_status(client: &mut Client) -> Result<TextRow, Failure> {
    let rows = client.ask("SHOW SLAVE STATUS").await?;
    rows.into_iter().next().ok_or_else(|| Failure::demo("a node has no link to show"))
}

/// Waits until every link runs and has caught up.
pub async fn until_well(servers: &Servers) -> Result<(), Failure> {
    let start = Instant::now();
    for server in &servers.list {
        let mut client = server.client().await?;
        loop {
            let status = slave_status(&mut client).await?;
            let is = |name: &str, value: &str| column(&status, name) == value;
            if is("Slave_IO_Running", "Yes")
                && is("Slave_SQL_Running", "Yes")
                && is("Seconds_Behind_Master", "0")
            {
                break;
            }
            if start.elapsed() > CATCH_UP_BOUND {
                let last = column(&status, "Last_SQL_Error");
                return Err(Failure::demo(format!("the link of {} does not run: {last}", server.name)));
            }
            tokio::time::sleep(POLL).await;
        }
    }
    Ok(())
}

/// Waits until every master has what these clients' masters have now.
pub async fn until_everywhere(servers: &Servers, clients: &mut [&mut Client]) -> Result<(), Failure> {
    for client in clients {
        let set = client.value("SELECT @@gtid_executed").await?.unwrap_or_default();
        let wait = format!("SELECT WAIT_FOR_EXECUTED_GTID_SET('{set}', {ARRIVAL_BOUND_S})");
        for server in &servers.list {
            if server.client().await?.value(&wait).await?.as_deref() != Some("0") {
                let what = format!("{} did not get what was written within {ARRIVAL_BOUND_S} s", server.name);
                return Err(Failure::demo(what));
            }
        }
    }
    Ok(())
}

/// Shows that every link runs and that nobody is behind.
pub async fn show(servers: &Servers, tell: &Tell) -> Result<(), Failure> {
    tell.step("By all that replication says, everything is well")?;
    until_well(servers).await?;
    for server in &servers.list {
        let status = slave_status(&mut server.client().await?).await?;
        tell.sql(&server.name, "SHOW SLAVE STATUS")?;
        tell.status(
            &status,
            &["Slave_IO_Running", "Slave_SQL_Running", "Seconds_Behind_Master", "Last_SQL_Error"],
        )?;
    }
    Ok(())
}
