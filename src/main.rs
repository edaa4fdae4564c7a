//! The program `evensum`: the only part that talks to people, reads the environment and exits.

fn main() {}
