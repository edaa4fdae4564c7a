//! The variables that the configuration decides, and those that act at once when a client sets them.
//!
//! A session's variables are text; most of them are read when they act. Some say something to a part of the node
//! that has a value of its own: the log's file size, whether a commit waits for the disk. Those parts are told here.
//! Invariant: what SHOW GLOBAL VARIABLES says is what the part does.

use crate::Config;
use crate::replication::link::Context;
use crate::session::variables::GlobalVariables;
use crate::storage::{Store, Synchronous};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The variables of a node with this configuration.
pub(crate) fn variables(config: &Config, store: &Arc<Store>, links: &Arc<Context>) -> GlobalVariables {
    let variables = GlobalVariables::default();
    for (name, value) in of_config(config) {
        variables.set(name, &value);
    }
    for (name, value) in config.filters().map(|filters| filters.shown()).into_iter().flatten() {
        variables.set(&name.to_ascii_lowercase(), &value);
    }
    let (store, links) = (Arc::clone(store), Arc::clone(links));
    variables.observe(Box::new(move |all, name| act(all, name, &store, &links)));
    variables
}

fn of_config(config: &Config) -> Vec<(&'static str, String)> {
    let switch = |on: bool| if on { "ON" } else { "OFF" }.to_owned();
    let errors = match config.slave_skip_errors.as_slice() {
        [] => "OFF".to_owned(),
        all if all.len() == usize::from(u16::MAX) => "ALL".to_owned(),
        some => some.iter().map(u16::to_string).collect::<Vec<_>>().join(","),
    };
    let days = config.binlog_expire_logs_seconds / 86_400;
    vec![
        ("auto_increment_increment", config.auto_increment_increment.to_string()),
        ("auto_increment_offset", config.auto_increment_offset.to_string()),
        ("bind_address", config.bind_address.to_string()),
        ("binlog_expire_logs_seconds", config.binlog_expire_logs_seconds.to_string()),
        ("binlog_format", config.binlog_format.name().to_owned()),
        ("datadir", config.datadir.display().to_string()),
        ("enforce_gtid_consistency", switch(config.enforce_gtid_consistency)),
        ("expire_logs_days", days.to_string()),
        ("gtid_mode", switch(config.gtid_mode)),
        ("have_openssl", "YES".to_owned()),
        ("have_ssl", "YES".to_owned()),
        ("innodb_flush_log_at_trx_commit", config.innodb_flush_log_at_trx_commit.to_string()),
        ("innodb_lock_wait_timeout", config.innodb_lock_wait_timeout.to_string()),
        ("lock_wait_timeout", config.lock_wait_timeout.to_string()),
        ("log_bin", switch(!config.skip_log_bin)),
        ("log_bin_basename", if config.skip_log_bin { String::new() } else { config.log_bin.clone() }),
        ("log_replica_updates", switch(config.log_slave_updates)),
        ("log_slave_updates", switch(config.log_slave_updates)),
        ("max_allowed_packet", config.max_allowed_packet.to_string()),
        ("max_binlog_size", config.max_binlog_size.to_string()),
        ("max_connections", config.max_connections.to_string()),
        ("port", config.port.to_string()),
        ("read_only", switch(config.read_only || config.super_read_only)),
        ("relay_log", config.relay_log.clone()),
        ("require_secure_transport", switch(config.require_secure_transport)),
        ("tls_version", "TLSv1.2,TLSv1.3".to_owned()),
        ("relay_log_space_limit", config.relay_log_space_limit.to_string()),
        ("replica_net_timeout", config.slave_net_timeout.to_string()),
        ("replica_skip_errors", errors.clone()),
        ("report_host", config.report_host.clone()),
        ("report_port", config.report_port.to_string()),
        ("slave_net_timeout", config.slave_net_timeout.to_string()),
        ("slave_skip_errors", errors),
        ("super_read_only", switch(config.super_read_only)),
        ("sync_binlog", config.sync_binlog.to_string()),
    ]
}

/// A client has set this variable globally.
fn act(all: &GlobalVariables, name: &str, store: &Store, links: &Context) {
    let log = &links.log;
    let text = |name: &str| all.get(name).unwrap_or_default();
    let number = |name: &str| text(name).parse::<u64>().unwrap_or(0);
    match name {
        "innodb_flush_log_at_trx_commit" | "sync_binlog" => {
            let durable = number("innodb_flush_log_at_trx_commit") == 1 && number("sync_binlog") != 0;
            store.set_synchronous(if durable { Synchronous::Full } else { Synchronous::Normal });
        }
        "max_binlog_size" => log.set_max_file_bytes(number(name)),
        "binlog_expire_logs_seconds" => {
            all.set("expire_logs_days", &(number(name) / 86_400).to_string());
            log.set_expire_seconds(number(name));
        }
        "expire_logs_days" => {
            let seconds = number(name).saturating_mul(86_400);
            all.set("binlog_expire_logs_seconds", &seconds.to_string());
            log.set_expire_seconds(seconds);
        }
        "super_read_only" if text(name) == "ON" => all.set("read_only", "ON"),
        "read_only" if text(name) == "OFF" => all.set("super_read_only", "OFF"),
        "slave_net_timeout" | "replica_net_timeout" => {
            for both in ["slave_net_timeout", "replica_net_timeout"] {
                all.set(both, &text(name));
            }
            links.calling.net_timeout_s.store(number(name), Ordering::Relaxed);
        }
        _ => {}
    }
}
