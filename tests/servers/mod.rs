//! Real servers: what a DBA runs, broken on purpose, and what evensum says and does about it.
//!
//! `server` starts one process; `masters` wires several into pairs, rings and third tiers, with verbs for what goes wrong. Where a
//! server is not installed its tests say so and check nothing.

mod crashes;
mod doctor;
mod formats;
mod galera;
mod gentle;
mod grants;
mod limbo;
mod live;
mod masters;
mod mending;
mod mysql;
mod pt;
mod refusals;
pub mod server;
mod service;
mod silent;
mod surroundings;
mod topologies;

/// Whether no MariaDB is installed; it says so.
pub fn mariadb_is_missing() -> bool {
    server::Program::mariadb().is_none()
}
