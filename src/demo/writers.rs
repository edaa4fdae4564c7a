//! The application: one writer on every node, which never stops writing while the demonstration goes on.
//!
//! Each writer changes only rows that it owns: orders that it inserted itself (their keys come from its node's
//! `auto_increment_offset`), and customers and products whose number belongs to its node. So the writers never conflict with each
//! other, and every divergence that is found was planted on purpose.

use crate::demo::client::{Client, SqlFailure};
use crate::demo::retail::{CUSTOMERS, PRODUCTS, RESERVED, Random, moment};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// What a writer waits between two transactions, so that the demonstration leaves a small machine some air.
const PAUSE: Duration = Duration::from_millis(8);
/// How many of its own orders a writer remembers.
const ORDERS_REMEMBERED: usize = 200;

/// The writers at work.
#[derive(Debug)]
pub struct Writers {
    over: Arc<AtomicBool>,
    start: Instant,
    each: Vec<Running>,
}

#[derive(Debug)]
struct Running {
    node: String,
    written: Arc<AtomicU64>,
    task: JoinHandle<Result<(), SqlFailure>>,
}

/// What a writer did.
#[derive(Debug)]
pub struct Rate {
    /// Its node.
    pub node: String,
    /// Transactions that the node acknowledged.
    pub transactions: u64,
    /// Per second.
    pub per_second: f64,
    /// Why it ended early, if it did.
    pub failure: Option<String>,
}

impl Writers {
    /// Starts one writer per node.
    pub fn start(nodes: &[(String, SocketAddr)]) -> Writers {
        let over = Arc::new(AtomicBool::new(false));
        let count = nodes.len() as u64;
        let each = (nodes.iter().zip(0..))
            .map(|((name, address), number)| {
                let written = Arc::new(AtomicU64::new(0));
                let writer =
                    Writer { number, count, random: Random::new(1_000 + number), own: VecDeque::new() };
                let task = tokio::spawn(writer.run(*address, over.clone(), written.clone()));
                Running { node: name.clone(), written, task }
            })
            .collect();
        Writers { over, start: Instant::now(), each }
    }

    /// How many transactions were acknowledged until now.
    pub fn written(&self) -> u64 {
        self.each.iter().map(|running| running.written.load(Ordering::Relaxed)).sum()
    }

    /// Stops the writers; what each did.
    pub async fn stop(self) -> Vec<Rate> {
        self.over.store(true, Ordering::Relaxed);
        let seconds = self.start.elapsed().as_secs_f64();
        let mut rates = Vec::new();
        for Running { node, written, task } in self.each {
            let failure = match task.await {
                Ok(Ok(())) => None,
                Ok(Err(failure)) => Some(failure.to_string()),
                Err(error) => Some(error.to_string()),
            };
            let transactions = written.load(Ordering::Relaxed);
            // a count of transactions is far below 2^52
            #[allow(clippy::cast_precision_loss)]
            let per_second = transactions as f64 / seconds;
            rates.push(Rate { node, transactions, per_second, failure });
        }
        rates
    }
}

struct Writer {
    number: u64,
    count: u64,
    random: Random,
    own: VecDeque<u64>,
}

impl Writer {
    async fn run(
        mut self,
        address: SocketAddr,
        over: Arc<AtomicBool>,
        written: Arc<AtomicU64>,
    ) -> Result<(), SqlFailure> {
        const LOCK_WAIT: u16 = 1205;
        let mut client = Client::connect(address).await?;
        while !over.load(Ordering::Relaxed) {
            match self.transaction(&mut client).await {
                Ok(()) => {
                    written.fetch_add(1, Ordering::Relaxed);
                }
                // what an application does when a row is locked for too long: it tries again
                Err(failure) if failure.number == LOCK_WAIT => {
                    client.run("ROLLBACK").await?;
                }
                Err(failure) => return Err(failure),
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    /// A number above the reserved ones, up to `last`, that belongs to this writer's node.
    fn owned(&mut self, last: u64) -> u64 {
        let slots = (last - RESERVED) / self.count;
        RESERVED + 1 + self.random.below(slots) * self.count + self.number
    }

    async fn transaction(&mut self, client: &mut Client) -> Result<(), SqlFailure> {
        match self.random.below(10) {
            0..=3 => self.order(client).await,
            4..=5 => {
                let (id, points) = (self.owned(CUSTOMERS - self.count), self.random.below(50));
                client
                    .run(&format!("UPDATE shop.customers SET points = points + {points} WHERE id = {id}"))
                    .await
                    .map(drop)
            }
            6..=7 => {
                let id = self.owned(PRODUCTS - self.count);
                client
                    .run(&format!("UPDATE shop.products SET stock = stock - 1 WHERE id = {id}"))
                    .await
                    .map(drop)
            }
            8 => match self.own.back() {
                Some(id) => {
                    let sql = format!(
                        "UPDATE shop.orders SET status = 'paid', note = 'thank you €' WHERE id = {id}"
                    );
                    client.run(&sql).await.map(drop)
                }
                None => self.order(client).await,
            },
            _ => self.cancel(client).await,
        }
    }

    async fn order(&mut self, client: &mut Client) -> Result<(), SqlFailure> {
        let (customer, at) = (1 + self.random.below(CUSTOMERS), moment(&mut self.random));
        client.run("BEGIN").await?;
        let order = format!(
            "INSERT INTO shop.orders (customer_id, status, ordered_at, total) VALUES ({customer}, 'new', '{at}', 19.90)"
        );
        let id = client.insert(&order).await?;
        for line in 1..=1 + self.random.below(2) {
            let product = 1 + self.random.below(PRODUCTS);
            client
                .run(&format!("INSERT INTO shop.order_items VALUES ({id}, {line}, {product}, 1, 9.95, NULL)"))
                .await?;
        }
        client.run("COMMIT").await?;
        self.own.push_back(id);
        if self.own.len() > ORDERS_REMEMBERED {
            self.own.pop_front();
        }
        Ok(())
    }

    async fn cancel(&mut self, client: &mut Client) -> Result<(), SqlFailure> {
        let Some(id) = self.own.pop_front() else { return self.order(client).await };
        client.run("BEGIN").await?;
        client.run(&format!("DELETE FROM shop.order_items WHERE order_id = {id}")).await?;
        client.run(&format!("DELETE FROM shop.orders WHERE id = {id}")).await?;
        client.run("COMMIT").await.map(drop)
    }
}
