//! One operation: where it is, what it takes and answers, and who carries it out.
//!
//! Must never be built in parts: without a handler there is no operation.

use axum::routing::MethodRouter;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::site::Site;

type Shape = fn(&mut SchemaGenerator) -> Schema;

/// An operation of the API.
pub(super) struct Operation {
    pub(super) path: &'static str,
    pub(super) handler: MethodRouter<Site>,
    pub(super) described: Described,
}

/// What is said of it.
pub(super) struct Described {
    pub(super) path: &'static str,
    pub(super) method: &'static str,
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    pub(super) query: Option<Shape>,
    pub(super) body: Option<Shape>,
    pub(super) answer: Option<Shape>,
    pub(super) answer_kind: &'static str,
}

impl Operation {
    pub(super) fn get(path: &'static str, id: &'static str, summary: &'static str) -> Described {
        Described::new("get", path, id, summary)
    }

    pub(super) fn post(path: &'static str, id: &'static str, summary: &'static str) -> Described {
        Described::new("post", path, id, summary)
    }
}

impl Described {
    fn new(method: &'static str, path: &'static str, id: &'static str, summary: &'static str) -> Self {
        let answer_kind = "application/json";
        Self { path, method, id, summary, query: None, body: None, answer: None, answer_kind }
    }

    /// What may stand behind the question mark.
    pub(super) fn query<T: JsonSchema>(self) -> Self {
        Self { query: Some(|schemas| T::json_schema(schemas)), ..self }
    }

    /// What the body has to be.
    pub(super) fn takes<T: JsonSchema>(self) -> Self {
        Self { body: Some(|schemas| schemas.subschema_for::<T>()), ..self }
    }

    /// What comes back.
    pub(super) fn answers<T: JsonSchema>(self) -> Self {
        Self { answer: Some(|schemas| schemas.subschema_for::<T>()), ..self }
    }

    /// What the data of each event is.
    pub(super) fn streams<T: JsonSchema>(self) -> Self {
        Self { answer_kind: "text/event-stream", ..self.answers::<T>() }
    }

    /// Who carries it out.
    pub(super) fn by(self, handler: MethodRouter<Site>) -> Operation {
        Operation { path: self.path, handler, described: self }
    }
}
