//! The three ways in which masters come apart in life, done on purpose and verified by reading.
//!
//! 1. Two clients change the same row on two masters at the same time. Each change is applied on the other master after
//!    that one's own, so the masters end with each other's value. No error is shown anywhere.
//! 2. Two clients insert the same key on two masters. Replication stops with error 1062; an operator skips the event and
//!    goes on, and each master keeps its own row.
//! 3. Somebody changes rows with `sql_log_bin=0`, on one master only.
//!
//! Invariant: what is listed as planted was seen to differ, or was acknowledged by the node outside its log.

use crate::demo::client::{Client, column};
use crate::demo::ring;
use crate::demo::servers::Servers;
use crate::demo::tell::Tell;
use crate::error::Failure;
use std::time::{Duration, Instant};

/// Products for which two crossing updates are tried, until they really cross.
const CROSSING_PRODUCTS: std::ops::Range<u64> = 100..120;
/// New customers for whom two crossing inserts are tried.
const CROSSING_CUSTOMERS: std::ops::Range<u64> = 2_001..2_011;
/// How long replication may take to stop on the duplicate key, and to run again after the skip.
const STOP_BOUND: Duration = Duration::from_secs(20);
/// MySQL's number for a duplicate key.
const DUPLICATE: u16 = 1062;

/// A row that was made to differ: its table, and its key as `id=7` or `order_id=7 line=2`.
pub type Planted = (&'static str, String);

/// Brings the masters apart in all three ways; the rows that differ now.
pub async fn plant(servers: &Servers, tell: &Tell) -> Result<Vec<Planted>, Failure> {
    let mut planted = vec![crossing_updates(servers, tell).await?];
    planted.push(duplicate_key(servers, tell).await?);
    planted.extend(behind_the_log(servers, tell).await?);
    Ok(planted)
}

async fn two(servers: &Servers) -> Result<(Client, Client), Failure> {
    match &servers.list[..] {
        [one, two, ..] => Ok((one.client().await?, two.client().await?)),
        _ => Err(Failure::demo("it takes two nodes to disagree")),
    }
}

async fn crossing_updates(servers: &Servers, tell: &Tell) -> Result<Planted, Failure> {
    tell.step("Two clients set the stock of one product, on two masters, at the same time")?;
    let (mut one, mut two) = two(servers).await?;
    for product in CROSSING_PRODUCTS {
        let set = |stock: u64| format!("UPDATE shop.products SET stock = {stock} WHERE id = {product}");
        let (first, second) = (set(10), set(5));
        let (done, done_too) = tokio::join!(one.run(&first), two.run(&second));
        let changed = (done?, done_too?);
        tell.sql("n1", &first)?;
        tell.sql("n2", &second)?;
        ring::until_everywhere(servers, &mut [&mut one, &mut two]).await?;
        let read = format!("SELECT stock FROM shop.products WHERE id = {product}");
        let (stock, stock_too) = (one.value(&read).await?, two.value(&read).await?);
        if changed == (1, 1) && stock != stock_too {
            let text = |stock: Option<String>| stock.unwrap_or_else(|| "no row".to_owned());
            let (stock, stock_too) = (text(stock), text(stock_too));
            tell.say(&format!("    n1 now has {stock}, n2 has {stock_too}; no error was shown to anybody"))?;
            return Ok(("shop.products", format!("id={product}")));
        }
        tell.say("    one of them was a moment too late to cross the other; again, with another product")?;
    }
    Err(Failure::demo("no two updates crossed each other"))
}

async fn duplicate_key(servers: &Servers, tell: &Tell) -> Result<Planted, Failure> {
    tell.step("Two clients insert a customer with the same key, on two masters, at the same time")?;
    let (mut one, mut two) = two(servers).await?;
    for customer in CROSSING_CUSTOMERS {
        let insert = |name: &str, email: &str| {
            format!(
                "INSERT INTO shop.customers (id, name, email) VALUES ({customer}, '{name}', '{email}{customer}@example.org')"
            )
        };
        let (first, second) = (insert("Grace Hopper", "grace"), insert("Alan Türing", "alan"));
        let (done, done_too) = tokio::join!(one.run(&first), two.run(&second));
        tell.sql("n1", &first)?;
        tell.sql("n2", &second)?;
        match (done, done_too) {
            (Ok(_), Ok(_)) => {
                skip_stops(servers, tell).await?;
                return Ok(("shop.customers", format!("id={customer}")));
            }
            (Err(failure), _) | (_, Err(failure)) if failure.number == DUPLICATE => {
                tell.say("    one of them came first and won; again, with another key")?;
            }
            (Err(failure), _) | (_, Err(failure)) => return Err(failure.into()),
        }
    }
    Err(Failure::demo("no two inserts crossed each other"))
}

/// Does what an operator in a hurry does: looks, skips the event, and starts again, until all links run.
async fn skip_stops(servers: &Servers, tell: &Tell) -> Result<(), Failure> {
    let (start, mut skipped) = (Instant::now(), 0);
    while start.elapsed() < STOP_BOUND {
        let mut running = 0;
        for server in &servers.list {
            let mut client = server.client().await?;
            let status = ring::slave_status(&mut client).await?;
            if column(&status, "Slave_SQL_Running") == "Yes" {
                running += 1;
            } else if column(&status, "Last_SQL_Errno") == DUPLICATE.to_string() {
                tell.sql(&server.name, "SHOW SLAVE STATUS")?;
                tell.status(&status, &["Slave_SQL_Running", "Last_SQL_Errno", "Last_SQL_Error"])?;
                for sql in ["STOP SLAVE", "SET GLOBAL SQL_SLAVE_SKIP_COUNTER = 1", "START SLAVE"] {
                    client.run(sql).await?;
                    tell.sql(&server.name, sql)?;
                }
                skipped += 1;
            }
        }
        // both masters stop: each on the row of the other
        if skipped >= 2 && running == servers.list.len() {
            return Ok(());
        }
        tokio::time::sleep(ring::POLL).await;
    }
    Err(Failure::demo(format!(
        "replication did not stop twice on the duplicate key and run again within {} s ({skipped} stops)",
        STOP_BOUND.as_secs()
    )))
}

async fn behind_the_log(servers: &Servers, tell: &Tell) -> Result<Vec<Planted>, Failure> {
    let Some(server) = servers.list.last() else { return Ok(Vec::new()) };
    tell.step("Somebody repairs a few things by hand, outside the log")?;
    let mut client = server.client().await?;
    let changes = [
        ("shop.customers", "id=11", "UPDATE shop.customers SET note = 'called, будет ждать' WHERE id = 11"),
        ("shop.customers", "id=12", "UPDATE shop.customers SET points = points + 1 WHERE id = 12"),
        ("shop.customers", "id=13", "DELETE FROM shop.customers WHERE id = 13"),
        ("shop.products", "id=21", "UPDATE shop.products SET price = price + 0.01 WHERE id = 21"),
        (
            "shop.products",
            "id=9001",
            "INSERT INTO shop.products VALUES (9001, 'Teapot ☕', 24.50, 3, NULL, x'00ff')",
        ),
        (
            "shop.order_items",
            "order_id=31 line=1",
            "UPDATE shop.order_items SET quantity = quantity + 1, gift = NULL WHERE order_id = 31 AND line = 1",
        ),
        (
            "shop.order_items",
            "order_id=32 line=1",
            "DELETE FROM shop.order_items WHERE order_id = 32 AND line = 1",
        ),
    ];
    let mut planted = Vec::new();
    tell.sql(&server.name, "SET sql_log_bin = 0")?;
    client.run("SET sql_log_bin = 0").await?;
    for (table, key, sql) in changes {
        tell.sql(&server.name, sql)?;
        match client.run(sql).await? {
            1 => planted.push((table, key.to_owned())),
            rows => return Err(Failure::demo(format!("'{sql}' changed {rows} rows instead of one"))),
        }
    }
    Ok(planted)
}
