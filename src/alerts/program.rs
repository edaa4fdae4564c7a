//! Telling by a program of the user's own.
//!
//! It is started without a shell, with the body of a webhook on its standard input, and `EVENSUM_STATUS` (`firing` or
//! `resolved`), `EVENSUM_ALERT` (names, separated by commas) and `EVENSUM_CLUSTER` in its environment. If it exits with 0, the
//! alert is told; else it is to be tried later, and what the program said on its standard error is the reason. What it prints
//! on its standard output is dropped. Variables that hold passwords of nodes are not handed on.
//!
//! Invariant: it does not outlive its time. It is the first of a process group of its own, and the whole group is killed when
//! time is over. What leaves the group on purpose (`setsid`) is not caught; and what it leaves behind when it ends in time is its
//! own affair, and not waited for.

use super::delivery::{SendError, quoted};
use super::notice::{Notification, line};
use rustix::process::{Pid, Signal, kill_process_group};
use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

/// More arguments than this are a mistake.
const WORDS_MAX: usize = 100;
/// Of what it says on its standard error no more is kept; the rest is read and dropped.
const SAID_BYTES_MAX: u64 = 4096;
/// For how long its standard error is listened to after it has ended: others may hold it open.
const GRACE: Duration = Duration::from_millis(200);
/// Longer values of the environment are cut.
const VARIABLE_CHARS_MAX: usize = 4096;

/// A program and its arguments.
#[derive(Clone, Debug)]
pub struct Program {
    program: String,
    arguments: Vec<String>,
}

/// A process group that is killed when this is dropped, unless its first process has been waited for: from then on its number
/// may be that of strangers.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // there is nobody left in it: that is what was wanted
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Program {
    /// Takes a command; a relative path is relative to the folder, a bare name is looked for in `PATH`. Says what is wrong.
    pub fn new(command: &[String], folder: &Path) -> Result<Program, String> {
        let Some((program, arguments)) = command.split_first().filter(|(program, _)| !program.is_empty())
        else {
            return Err("command is empty".into());
        };
        if arguments.len() >= WORDS_MAX {
            return Err(format!("command has more than {WORDS_MAX} words"));
        }
        if command.iter().any(|word| word.contains('\0')) {
            return Err("command holds a zero byte".into());
        }
        let program =
            if program.contains('/') { folder.join(program).display().to_string() } else { program.clone() };
        Ok(Program { program, arguments: arguments.to_vec() })
    }

    /// What to call it.
    pub fn name(&self) -> &str {
        &self.program
    }

    /// Runs it. When this is dropped it is killed, with its group.
    pub async fn run(&self, notification: &Notification, body: &[u8]) -> Result<(), SendError> {
        let names: Vec<&str> = notification.told().iter().map(|notice| notice.name.as_str()).collect();
        let mut names = names;
        names.dedup();
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .env("EVENSUM_STATUS", notification.status())
            .env("EVENSUM_ALERT", line(&names.join(","), VARIABLE_CHARS_MAX))
            .env("EVENSUM_CLUSTER", line(&notification.cluster, VARIABLE_CHARS_MAX))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        for (name, _) in std::env::vars_os().filter(|(name, _)| secret_variable(name)) {
            command.env_remove(name);
        }
        let mut child = command
            .spawn()
            .map_err(|error| SendError::later(format!("{} cannot be started: {error}", self.program)))?;
        // a group has the number of its first process
        let mut group = Group(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw));
        let mut said = Vec::new();
        let status = talk(&mut child, &mut group, body, &mut said)
            .await
            .map_err(|error| SendError::later(format!("{} is lost: {error}", self.program)))?;
        if status.success() {
            return Ok(());
        }
        let program = &self.program;
        match quoted(&String::from_utf8_lossy(&said), &[]).as_str() {
            "" => Err(SendError::later(format!("{program} ended with {status}"))),
            words => Err(SendError::later(format!("{program} ended with {status}: {words}"))),
        }
    }
}

/// Gives it the body and listens to it until it ends.
async fn talk(
    child: &mut Child,
    group: &mut Group,
    body: &[u8],
    said: &mut Vec<u8>,
) -> Result<std::process::ExitStatus, std::io::Error> {
    let (input, errors) = (child.stdin.take(), child.stderr.take());
    let feed = async {
        if let Some(mut input) = input {
            // it need not read what it is told
            let _ = input.write_all(body).await;
        }
    };
    let listen = async {
        if let Some(errors) = errors {
            let mut errors = errors.take(SAID_BYTES_MAX);
            // what was said until it broke off is what there is to repeat
            let _ = errors.read_to_end(said).await;
            let _ = tokio::io::copy(&mut errors.into_inner(), &mut tokio::io::sink()).await;
        }
    };
    let talking = async { tokio::join!(feed, listen) };
    tokio::pin!(talking);
    tokio::select! {
        status = child.wait() => {
            group.0 = None;
            // what it said last may still be on its way
            let _ = tokio::time::timeout(GRACE, &mut talking).await;
            status
        }
        _ = &mut talking => {
            let status = child.wait().await;
            group.0 = None;
            status
        }
    }
}

/// Whether a variable holds what only evensum may know.
fn secret_variable(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with("EVENSUM_PASSWORD") || name == "MYSQL_PWD"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_with_passwords_are_known() {
        let secret = |name: &str| secret_variable(OsStr::new(name));
        assert!(secret("EVENSUM_PASSWORD") && secret("EVENSUM_PASSWORD_FILE") && secret("MYSQL_PWD"));
        assert!(!secret("PATH") && !secret("EVENSUM_CONFIG"));
    }

    #[test]
    fn a_command_is_found_where_the_configuration_says() {
        let folder = Path::new("/etc/evensum");
        let new = |words: &[&str]| {
            Program::new(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>(), folder)
        };
        assert_eq!(new(&["./tell", "x"]).unwrap().name(), "/etc/evensum/./tell");
        assert_eq!(new(&["/bin/tell"]).unwrap().name(), "/bin/tell");
        assert_eq!(new(&["tell"]).unwrap().name(), "tell");
        assert!(new(&[]).is_err() && new(&[""]).is_err() && new(&["a", "\0"]).is_err());
    }
}
