//! What the demonstration prints: numbered steps with the time, commands as a person types them, and statements.
//!
//! Invariant: a command is printed when it is run, and a number when it was measured.

use crate::demo::client::{TextRow, column};
use crate::error::Failure;
use crate::output;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Tells a person what happens.
#[derive(Debug)]
pub struct Tell {
    start: Instant,
    steps: AtomicU32,
    aside: bool,
}

impl Tell {
    /// Begins to tell, and to count the time. `aside`: on stderr, since stdout is for a machine.
    pub fn new(aside: bool) -> Tell {
        Tell { start: Instant::now(), steps: AtomicU32::new(0), aside }
    }

    /// Where a command writes its data, to be told as part of the story.
    pub fn stdout(&self) -> Stdio {
        if self.aside { Stdio::from(std::io::stderr()) } else { Stdio::inherit() }
    }

    /// The time since the beginning.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Seconds since the beginning.
    pub fn seconds(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    /// The next step.
    pub fn step(&self, what: &str) -> Result<(), Failure> {
        let step = self.steps.fetch_add(1, Ordering::Relaxed) + 1;
        self.say(&format!("\n{step}. {what}  [{:.1} s]", self.seconds()))
    }

    /// A line.
    pub fn say(&self, line: &str) -> Result<(), Failure> {
        if self.aside {
            output::note(line);
            return Ok(());
        }
        output::print(&format!("{line}\n"))
    }

    /// A command that is run.
    pub fn command(&self, command: &str) -> Result<(), Failure> {
        self.say(&format!("  $ {command}"))
    }

    /// A statement that was run on a node.
    pub fn sql(&self, node: &str, sql: &str) -> Result<(), Failure> {
        let line: Vec<&str> = sql.split_whitespace().collect();
        self.say(&format!("  {node}> {}", line.join(" ")))
    }

    /// Columns of a status.
    pub fn status(&self, row: &TextRow, names: &[&str]) -> Result<(), Failure> {
        names.iter().try_for_each(|name| self.say(&format!("      {name}: {}", column(row, name))))
    }
}
