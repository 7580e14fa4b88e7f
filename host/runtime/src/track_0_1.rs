//! `gleaner:resolver@0.1.0`: its generated bindings, converted to the host's own types at this edge.
//!
//! Must never decide anything: limits, rules and checks are the same for every version of the interface
//! and live elsewhere. No other module knows a generated type.

use std::time::Duration;

use wasmtime::Store;
use wasmtime::component::{HasSelf, InstancePre, Linker};

use crate::answer::{Answer, AnswerCandidate, Description, Disposition, Refusal};
use crate::guest::Guest;
use crate::host::{GuestHttpError, GuestResponse};
use crate::outbound::Asked;
use crate::plugin::{LogLevel, Query};
use gleaner_model::candidate::CandidateKind;

#[allow(missing_docs, unreachable_pub, unsafe_code, reason = "generated")]
mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit/resolver-0.1.0",
        world: "resolver-plugin",
        imports: { default: async | trappable },
        exports: { default: async },
    });
}

/// `gleaner:resolver-batch@0.1.0`, which is optional.
#[allow(missing_docs, unreachable_pub, unsafe_code, reason = "generated")]
mod batch_bindings {
    wasmtime::component::bindgen!({
        path: ["../../wit/resolver-0.1.0", "../../wit/resolver-batch-0.1.0"],
        world: "gleaner:resolver-batch/batch-resolver",
        with: { "gleaner:resolver/types": super::bindings::gleaner::resolver::types },
        exports: { default: async },
    });
}

use batch_bindings::{BatchResolver, BatchResolverIndices};
use bindings::gleaner::resolver::{clock, config, http, log, types};

/// The version that this module speaks.
pub(crate) const VERSION: &str = "0.1.0";
/// Of what a resolver may export beside it.
pub(crate) const BATCH_VERSION: &str = "0.1.0";

/// A component that was linked against this version.
pub(crate) struct Track {
    instance: InstancePre<Guest>,
    resolver: bindings::ResolverPluginIndices,
    batch: Option<BatchResolverIndices>,
}

/// An instance of it, to be used with the store that it was made in.
pub(crate) struct Live {
    resolver: bindings::ResolverPlugin,
    batch: Option<BatchResolver>,
}

/// Adds what this version imports.
pub(crate) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    bindings::ResolverPlugin::add_to_linker::<_, HasSelf<_>>(linker, |guest| guest)
}

impl Track {
    /// Checks that the component exports what this version asks for, and `resolve-many` as it should be where it is told
    /// to export that.
    pub(crate) fn new(instance: InstancePre<Guest>, has_batch: bool) -> wasmtime::Result<Self> {
        let resolver = bindings::ResolverPluginIndices::new(&instance)?;
        let batch = has_batch.then(|| BatchResolverIndices::new(&instance)).transpose()?;
        Ok(Self { instance, resolver, batch })
    }

    /// Makes an instance in that store.
    pub(crate) async fn instantiate(&self, store: &mut Store<Guest>) -> wasmtime::Result<Live> {
        let instance = self.instance.instantiate_async(&mut *store).await?;
        let resolver = self.resolver.load(&mut *store, &instance)?;
        let batch = self.batch.as_ref().map(|batch| batch.load(&mut *store, &instance)).transpose()?;
        Ok(Live { resolver, batch })
    }
}

impl Live {
    /// Runs `describe` in its store.
    pub(crate) async fn describe(&self, store: &mut Store<Guest>) -> wasmtime::Result<Description> {
        let info = self.resolver.gleaner_resolver_resolver().call_describe(&mut *store).await?;
        let most = match &self.batch {
            Some(batch) => Some(batch.gleaner_resolver_batch_batch().call_most(store).await?),
            None => None,
        };
        Ok(Description {
            name: info.name,
            version: info.version,
            summary: info.summary,
            takes: info.takes,
            hosts: info.hosts,
            settings: pairs(info.settings),
            most,
        })
    }

    /// Runs `resolve` or `resolve-many` in its store; as many answers as the guest gave.
    pub(crate) async fn ask(
        &self,
        store: &mut Store<Guest>,
        question: &Question,
    ) -> wasmtime::Result<Vec<Result<Answer, Refusal>>> {
        let answers = match question {
            Question::One(query) => {
                vec![self.resolver.gleaner_resolver_resolver().call_resolve(store, query).await?]
            }
            Question::Many(queries) => {
                let Some(batch) = &self.batch else { wasmtime::bail!("the component has no resolve-many") };
                batch.gleaner_resolver_batch_batch().call_resolve_many(store, queries).await?
            }
        };
        Ok(answers.into_iter().map(|answer| answer.map(answer_of).map_err(refusal_of)).collect())
    }
}

/// What a call asks, in this version's words.
pub(crate) enum Question {
    /// About one work.
    One(types::Query),
    /// About several at once.
    Many(Vec<types::Query>),
}

impl Question {
    /// About one work; the call has so much time.
    pub(crate) fn one(query: &Query, wall: Duration) -> Self {
        Self::One(question(query, wall))
    }

    /// About several.
    pub(crate) fn many(queries: &[Query], wall: Duration) -> Self {
        Self::Many(queries.iter().map(|query| question(query, wall)).collect())
    }

    /// About how many works.
    pub(crate) fn works(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Many(queries) => queries.len(),
        }
    }
}

fn question(query: &Query, wall: Duration) -> types::Query {
    const MOST_AUTHORS: usize = 64;
    let identifier = |identifier: &gleaner_model::identifier::Identifier| types::Identifier {
        scheme: identifier.scheme().as_str().to_owned(),
        value: identifier.value().to_owned(),
    };
    types::Query {
        job: query.job.clone(),
        attempt: query.attempt,
        deadline_ms: u32::try_from(wall.as_millis()).unwrap_or(u32::MAX),
        identifiers: query.identifiers.iter().map(identifier).collect(),
        title: query.title.clone(),
        authors: query.authors.iter().take(MOST_AUTHORS).cloned().collect(),
        year: query.year,
        urls: query.urls.clone(),
        landing_pages: query.landing_pages.clone(),
        failed_urls: query.failed_urls.clone(),
        metadata: query.metadata.clone(),
    }
}

fn answer_of(resolution: types::Resolution) -> Answer {
    let candidate = |candidate: types::Candidate| AnswerCandidate {
        url: candidate.url,
        kind: match candidate.kind {
            types::CandidateKind::File => CandidateKind::File,
            types::CandidateKind::LandingPage => CandidateKind::LandingPage,
        },
        media_type: candidate.media_type,
        version: candidate.version,
        license: candidate.license,
        host_type: candidate.host_type,
        confidence: candidate.confidence,
        extra: pairs(candidate.extra),
    };
    let identifier = |identifier: types::Identifier| (identifier.scheme, identifier.value);
    Answer {
        candidates: resolution.candidates.into_iter().map(candidate).collect(),
        discovered: resolution.discovered.into_iter().map(identifier).collect(),
        extra: pairs(resolution.extra),
    }
}

fn refusal_of(failure: types::Failure) -> Refusal {
    Refusal {
        disposition: match failure.disposition {
            types::Disposition::Retry => Disposition::Retry,
            types::Disposition::RateLimited => Disposition::RateLimited,
            types::Disposition::GiveUp => Disposition::GiveUp,
        },
        code: failure.code,
        message: failure.message,
        retry_after_ms: failure.retry_after_ms,
        status: failure.upstream_status,
    }
}

fn pairs(fields: Vec<types::Field>) -> Vec<(String, String)> {
    fields.into_iter().map(|field| (field.key, field.value)).collect()
}

fn asked(request: http::Request) -> Asked {
    Asked {
        method: request.method,
        url: request.url,
        headers: pairs(request.headers),
        body: request.body,
        timeout_ms: request.timeout_ms,
        max_bytes: request.max_bytes,
    }
}

fn answered(answer: Result<GuestResponse, GuestHttpError>) -> Result<http::Response, http::Error> {
    let field = |(key, value)| types::Field { key, value };
    match answer {
        Ok(response) => Ok(http::Response {
            status: response.status,
            url: response.url,
            headers: response.headers.into_iter().map(field).collect(),
            body: response.body,
            from_cache: response.from_cache,
        }),
        Err(GuestHttpError::Denied(rule)) => Err(http::Error::Denied(rule)),
        Err(GuestHttpError::Timeout) => Err(http::Error::Timeout),
        Err(GuestHttpError::TooLarge(most)) => Err(http::Error::TooLarge(most)),
        Err(GuestHttpError::RateLimited(wait)) => Err(http::Error::RateLimited(wait)),
        Err(GuestHttpError::Transport(cause)) => Err(http::Error::Transport(cause)),
    }
}

impl http::Host for Guest {
    async fn send(
        &mut self,
        request: http::Request,
    ) -> wasmtime::Result<Result<http::Response, http::Error>> {
        Ok(answered(self.outbound.send(asked(request)).await))
    }

    async fn send_all(
        &mut self,
        requests: Vec<http::Request>,
    ) -> wasmtime::Result<Vec<Result<http::Response, http::Error>>> {
        let answers = self.outbound.send_all(requests.into_iter().map(asked).collect()).await;
        Ok(answers.into_iter().map(answered).collect())
    }
}

impl log::Host for Guest {
    async fn log(
        &mut self,
        level: log::Level,
        message: String,
        fields: Vec<types::Field>,
    ) -> wasmtime::Result<()> {
        let level = match level {
            log::Level::Debug => LogLevel::Debug,
            log::Level::Info => LogLevel::Info,
            log::Level::Warn => LogLevel::Warn,
            log::Level::Error => LogLevel::Error,
        };
        self.log.add(level, &message, &pairs(fields));
        Ok(())
    }
}

impl config::Host for Guest {
    async fn get(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        Ok(self.outbound.host.setting(&key))
    }
}

impl clock::Host for Guest {
    async fn now_ms(&mut self) -> wasmtime::Result<u64> {
        Ok(self.outbound.host.now_ms())
    }
}

impl types::Host for Guest {}
