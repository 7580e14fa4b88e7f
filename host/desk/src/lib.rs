//! What an operator sees and does: views of a library and changes to it, which the commands and the server share.
//!
//! A view is one type, and its JSON is the same whoever shows it. Must never print, read arguments, or know where a
//! request came from.

mod enqueue;
mod explain;
mod jobs;
mod keys;
mod look;
mod plugins;
mod retry;
#[cfg(test)]
mod said;
mod settings;
mod values;
mod wanted;

pub use enqueue::{Added, Enqueuer};
pub use explain::{Coming, Ending, Explained, Tried, Why, explain};
pub use jobs::{Cancelled, JobDocument, JobLine, no_such_job};
pub use keys::{
    KeyNow, KeyView, Keys, LimitChange, LimitView, PausedView, change_limit, in_words, set_paused,
};
pub use look::{Look, Rules};
pub use plugins::{
    Held, LackingLimit, PluginBase, PluginView, RefusedView, problems_of_settings, suspended_now, takes,
};
pub use retry::{Retried, Retry};
pub use settings::Setting;
pub use values::{
    Ago, When, parse_ended_state, parse_host, parse_key, parse_priority, parse_reason, parse_resolver,
    parse_state,
};
pub use wanted::{Turn, Wanted};
