//! The services of the example.

fn main() {}
