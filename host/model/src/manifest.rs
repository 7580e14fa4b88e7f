//! The manifest: one record per attempt, the proof of where each file came from.
//!
//! Records are written once and never changed. They must never hold a secret: URLs arrive here redacted.

use serde::{Deserialize, Serialize};

use crate::candidate::{HostType, Version};
use crate::clock::UnixMillis;
use crate::reason::Reason;

/// Version of this record's shape. Fields are only added; a change of meaning is a new number.
pub const SCHEMA: u32 = 1;

/// The columns of the manifest as CSV, in order: the fields of a record, those of `durations` each as one. Further ones
/// are only added behind these.
pub const COLUMNS: [&str; 38] = [
    "seq",
    "schema",
    "run_id",
    "time",
    "artifact_id",
    "title",
    "year",
    "resolver",
    "resolver_version",
    "component_sha256",
    "candidate_url",
    "url_chain",
    "host",
    "status",
    "media_type_declared",
    "media_type_found",
    "bytes",
    "sha256",
    "etag",
    "last_modified",
    "license",
    "version",
    "host_type",
    "path",
    "outcome",
    "reason",
    "detail",
    "attempt",
    "recheck",
    "candidates",
    "extra",
    "durations.wait_ms",
    "durations.resolve_ms",
    "durations.connect_ms",
    "durations.first_byte_ms",
    "durations.total_ms",
    "config_hash",
    "transport",
];

/// What an attempt came to.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptOutcome {
    /// A resolver answered; or, when a file was asked for again, it is as it was.
    Answered,
    /// A file was accepted.
    Accepted,
    /// A candidate was fetched or refused, and is no acceptable file.
    Rejected,
    /// The try failed.
    Failed,
}

/// How well the way that an answer came was protected; of several hops the least protected counts. Later ones are worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// Over https, from a host that proved who it is.
    #[default]
    Https,
    /// Over https, from a host whose certificate was not checked: `egress.insecure-hosts`.
    HttpsUnverified,
    /// Over plain http, since https was not to be had.
    Http,
}

/// How long each part took, in milliseconds; absent where it did not happen.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Durations {
    /// Waiting for limits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
    /// The plugin call, its own requests included; where one call was for several works, the whole of it for each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolve_ms: Option<u64>,
    /// Looking up the last host, connecting, TLS; absent where a connection was there already, and for resolvers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_ms: Option<u64>,
    /// From sending a request to its headers, connection included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_byte_ms: Option<u64>,
    /// All of it.
    pub total_ms: u64,
}

/// One attempt.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ManifestRecord {
    /// Number of the record in its library, where it is exported: grows, and is never given twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<i64>,
    /// Version of the record's shape: 1.
    pub schema: u32,
    /// The run that made the attempt.
    pub run_id: String,
    /// When it ended: RFC 3339 in UTC.
    pub time: String,
    /// The work.
    pub artifact_id: String,
    /// Title as given.
    pub title: Option<String>,
    /// Year as given.
    pub year: Option<u16>,
    /// Who was asked, or who proposed the candidate.
    pub resolver: String,
    /// Version of the plugin, as it says.
    pub resolver_version: Option<String>,
    /// SHA-256 of the component.
    pub component_sha256: Option<String>,
    /// What was fetched; absent for a resolver call.
    pub candidate_url: Option<String>,
    /// Every URL on the way, the last one answered. One that was asked for over https instead stands before what was
    /// asked then, and behind it again where it had to be asked for in plain after all.
    pub url_chain: Vec<String>,
    /// Host key of the last URL.
    pub host: Option<String>,
    /// HTTP status.
    pub status: Option<u16>,
    /// `Content-Type`, as declared.
    pub media_type_declared: Option<String>,
    /// What the bytes are.
    pub media_type_found: Option<String>,
    /// Bytes received.
    pub bytes: Option<u64>,
    /// SHA-256 of the file kept, lower-case hex.
    pub sha256: Option<String>,
    /// `ETag`.
    pub etag: Option<String>,
    /// `Last-Modified`.
    pub last_modified: Option<String>,
    /// License as the source spells it.
    pub license: Option<String>,
    /// Which state of the text: submitted, accepted or published.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub version: Option<Version>,
    /// Who runs the host: publisher or repository.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub host_type: Option<HostType>,
    /// Readable name of the file in the library, relative to it.
    pub path: Option<String>,
    /// What the attempt came to.
    pub outcome: AttemptOutcome,
    /// Why: one of the reasons in reasons.md.
    #[cfg_attr(test, schemars(with = "String"))]
    pub reason: Reason,
    /// Which limit, which rule, which status.
    pub detail: String,
    /// Which try of this step, from 1.
    pub attempt: u32,
    /// Whether a file that the library held was asked for again: `gleaner library refresh`.
    #[serde(default)]
    pub recheck: bool,
    /// How many candidates the resolver proposed.
    pub candidates: Option<u32>,
    /// Names and values that the resolver gave along, with its answer or with the candidate.
    #[serde(default)]
    pub extra: Vec<(String, String)>,
    /// How long it took.
    pub durations: Durations,
    /// Hash of the effective configuration.
    pub config_hash: String,
    /// How the answer came: `https`; `https_unverified`, where a certificate was not checked (`egress.insecure-hosts`);
    /// or `http`, where https was not to be had. Of several hops the least protected counts; absent where none answered.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<Transport>,
}

impl ManifestRecord {
    /// A record with what every attempt has; the rest is filled in by who made it.
    pub fn new(
        run: &RunIdentity,
        artifact: &crate::artifact::Artifact,
        resolver: &str,
        now: UnixMillis,
    ) -> Self {
        Self {
            seq: None,
            schema: SCHEMA,
            run_id: run.run_id.clone(),
            time: now.to_string(),
            artifact_id: artifact.id.to_string(),
            title: artifact.title.clone(),
            year: artifact.year,
            resolver: resolver.to_owned(),
            resolver_version: None,
            component_sha256: None,
            candidate_url: None,
            url_chain: Vec::new(),
            host: None,
            status: None,
            media_type_declared: None,
            media_type_found: None,
            bytes: None,
            sha256: None,
            etag: None,
            last_modified: None,
            license: None,
            version: None,
            host_type: None,
            path: None,
            outcome: AttemptOutcome::Failed,
            reason: Reason::Ok,
            detail: String::new(),
            attempt: 1,
            recheck: false,
            candidates: None,
            extra: Vec::new(),
            durations: Durations::default(),
            config_hash: run.config_hash.clone(),
            transport: None,
        }
    }
}

/// Which run it is: on every record and log line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunIdentity {
    /// Unique to the run.
    pub run_id: String,
    /// Hash of the effective configuration.
    pub config_hash: String,
}

#[cfg(test)]
mod reference;
