//! The service beside real masters: the same as beside bundled ones.

use super::masters::{Masters, Shape};
use super::server::Program;
use crate::service::{finds_tells_and_ends, table};

#[test]
fn a_mariadb_pair_is_watched_and_one_alert_comes_and_goes() {
    let Some(program) = Program::mariadb() else { return };
    let masters = Masters::start(&program, Shape::Pair);
    table(&masters);
    finds_tells_and_ends(&masters);
}
