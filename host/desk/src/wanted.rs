//! A work as somebody asks for it, and whose turn it is.
//!
//! Must never guess: what names no work is refused with what is wrong.

use gleaner_model::artifact::{self, Artifact};
use gleaner_model::identifier::Identifier;
use gleaner_model::job::Priority;
use serde_json::{Map, Value};

use crate::values::{When, parse_priority};

/// Whose turn it is. Works that have a job keep what that has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Turn {
    /// Smaller numbers go first.
    pub priority: Option<Priority>,
    /// Not before then.
    pub not_before: Option<When>,
}

/// A work that is wanted.
#[derive(Debug)]
pub struct Wanted {
    /// Which.
    pub artifact: Artifact,
    /// Whose turn it is, as the work says itself.
    pub turn: Turn,
}

impl From<Artifact> for Wanted {
    fn from(artifact: Artifact) -> Self {
        Self { artifact, turn: Turn::default() }
    }
}

impl Wanted {
    /// The work of one identifier, in any notation.
    ///
    /// # Errors
    /// When the text is no identifier.
    pub fn named(text: &str) -> Result<Self, String> {
        Identifier::parse(text).map(|id| Artifact::of(id).into()).map_err(|error| error.to_string())
    }

    /// The work of a JSON object: `artifact_id` or any identifier, and `priority` and `not_before` if it says them.
    ///
    /// # Errors
    /// When nothing names it, or a field is wrong.
    pub fn described(value: &Value) -> Result<Self, String> {
        let object = value.as_object().ok_or("a JSON object is expected, like {\"doi\":\"10.1000/x\"}")?;
        // Both stay with the work as what else came with it.
        let turn = Turn {
            priority: given(object, "priority", parse_priority)?,
            not_before: given(object, "not_before", str::parse)?,
        };
        artifact::from_json(object).map(|artifact| Self { artifact, turn }).map_err(|error| error.to_string())
    }
}

/// A field of an object, read like the option of its name.
fn given<T>(
    object: &Map<String, Value>,
    field: &str,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, String> {
    let text = match object.get(field) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    read(&text).map(Some).map_err(|problem| format!("the field {field:?}: {problem}"))
}
