//! Resolvers in text: the smallest component of the world, for what no compiler would write.

#![allow(dead_code, reason = "each suite uses its part")]

/// A resolver named `text` whose `resolve` is these instructions. It gets the address of the query and leaves
/// the address of a `result<resolution, failure>`: 0 is an answer without candidates.
pub(crate) fn resolver(resolve: &str) -> Vec<u8> {
    component(resolve, "i32.const 1024")
}

/// The same, with the instructions of `describe`, which leaves the address of what it says.
pub(crate) fn component(resolve: &str, describe: &str) -> Vec<u8> {
    const WORLD: &str = include_str!("resolver.wat");
    let text = WORLD.replace(";; RESOLVE", resolve).replace(";; DESCRIBE", describe);
    wat::parse_str(text).expect("the text is a component")
}
