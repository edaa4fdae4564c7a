//! stdout for data, stderr for everything else.
//!
//! Invariant: a reader that goes away (`evensum check … | head -1`) ends the writing quietly, and never in a panic; the
//! exit code is still that of the result. What it does not do: format. That is for `render`.

use crate::error::Failure;
use crate::render;
use std::io::{ErrorKind, IsTerminal, Write};

/// Writes data to stdout.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::output(&format!("cannot write to the standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Tells a person something on stderr. Where that fails there is nobody to tell it to.
pub fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Prints why a command ends.
pub fn complain(failure: &Failure) {
    note(&failure.to_string());
}

/// Prints why a command ends for a machine. Where that fails, the message on stderr is what is left.
pub fn document(failure: &Failure) {
    let _ = print(&render::json::text(&render::json::failure(failure)));
}

/// Whether text on stdout may have colours: a terminal that can show them, and nobody who said no.
pub fn coloured() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    !set("NO_COLOR") && (set("CLICOLOR_FORCE") || (std::io::stdout().is_terminal() && !dumb))
}
