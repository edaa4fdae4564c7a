//! Runs one node from a configuration file, until it is killed: `cargo run -p node --example run -- node.toml`.

use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = std::env::args().nth(1).ok_or("the name of a configuration file is missing")?;
    let node = node::Node::start(node::Config::read(Path::new(&file))?)?;
    println!("listening on {}", node.address());
    node.wait();
    Ok(())
}
