//! Where a command that belongs to the service finds what the service knows.
//!
//! By `--state`, else as the configuration says, else where runs are kept anyway: so a command and a service of one machine and one
//! configuration speak of the same. Not here: connecting to anything.

use crate::cli::PlaceArgs;
use crate::error::Failure;
use crate::serve::Setup;
use crate::state::{self, State};
use std::path::PathBuf;

/// What was found.
pub struct Place {
    /// The configuration, if there is one.
    pub setup: Option<Setup>,
    /// The state folder, open.
    pub state: State,
}

/// Opens it. A configuration that was named must be one that can be used; without any, the state folder is enough.
pub fn open(args: &PlaceArgs) -> Result<Place, Failure> {
    let setup = match args.config.is_some() || environment().is_some() {
        true => Some(Setup::read(args.config.as_deref())?),
        false => None,
    };
    let configured = setup.as_ref().and_then(|setup| setup.config.state.clone());
    let folder = state::folder(args.state.clone().or(configured).as_deref())?;
    Ok(Place { setup, state: State::open(&folder)? })
}

fn environment() -> Option<PathBuf> {
    std::env::var_os("EVENSUM_CONFIG").map(PathBuf::from).filter(|path| !path.as_os_str().is_empty())
}

impl Place {
    /// The configuration, for what cannot be said without it.
    pub fn setup(&self) -> Result<&Setup, Failure> {
        self.setup.as_ref().ok_or_else(|| {
            Failure::usage(
                "no configuration was named",
                "name that of the service with --config, or set EVENSUM_CONFIG",
            )
        })
    }

    /// The cluster: the configured one, else that of the latest run.
    pub fn cluster(&self) -> Result<String, Failure> {
        if let Some(setup) = &self.setup {
            return Ok(setup.cluster.clone());
        }
        Ok(self.state.list(1)?.pop().map(|run| run.cluster).unwrap_or_default())
    }
}

/// Who types.
pub fn who() -> String {
    // who became the service's user to type this is meant
    let named = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
    let name = named("SUDO_USER").or_else(|| named("USER")).or_else(|| named("LOGNAME")).unwrap_or_default();
    if name.is_empty() { "command".to_owned() } else { format!("command ({name})") }
}
