//! A download that goes on where an earlier try stopped, or begins anew.
//!
//! Must never put bytes of two versions into one file: see [`crate::range`] for what an answer proves, and
//! [`crate::sink`] for what is proved of the bytes on the disk.

use std::sync::Arc;

use gleaner_egress::{Egress, Scope};
use gleaner_model::artifact::Artifact;
use gleaner_model::reason::Failure;
use http::header::{self, HeaderMap};
use url::Url;

use crate::content::Answer;
use crate::parts::Note;
use crate::range::{self, Answered, Validators};
use crate::sink::{Keep, Sink};
use crate::{Content, FetchFacts, StoredBlob, blocking};

impl Content {
    /// Downloads, checks and stores; asks a second time when the answer to a request for the rest is of no use.
    pub(crate) async fn download(
        &self,
        egress: &Egress,
        scope: &Scope,
        url: &Url,
        artifact: &Artifact,
        facts: &mut FetchFacts,
    ) -> Result<StoredBlob, Failure> {
        if let Some((mut sink, note)) = self.beginning(url, artifact).await? {
            let mut headers = HeaderMap::new();
            range::ask(&note, &mut headers);
            // When nothing answers, the beginning stays for the next try.
            let (mut answer, headers) = self.ask(egress, scope, url, headers, facts).await?;
            let meaning = range::judge(&note, answer.status, &headers, answer.length);
            tracing::debug!(%url, at = note.length, of = note.total, ?meaning, "resume");
            match meaning {
                Answered::Rest => {
                    facts.transport = facts.transport.map(|transport| sink.goes_on_over(transport));
                    answer.length = Some(note.total - note.length);
                    answer.media_type = note.media_type;
                    return self.receive_into(answer, sink, artifact, facts).await;
                }
                Answered::Complete => {
                    drop(answer);
                    facts.transport = facts.transport.max(Some(note.transport));
                    facts.status = Some(416);
                    facts.bytes = Some(note.length);
                    facts.media_type_declared = note.media_type;
                    return self.accept(sink, true, artifact, facts).await;
                }
                Answered::Anew if answer.status == 200 => {
                    sink.give_up();
                    drop(sink);
                    return self.begin(answer, &headers, url, artifact, facts).await;
                }
                Answered::Anew => return self.receive_into(answer, sink, artifact, facts).await,
                Answered::Unusable => sink.give_up(),
            }
        }
        let (answer, headers) = self.ask(egress, scope, url, HeaderMap::new(), facts).await?;
        self.begin(answer, &headers, url, artifact, facts).await
    }

    /// The unfinished downloads of a work are of no use any more: it has its file, or gets none. Waits for the disk where
    /// that keeps nobody waiting.
    pub async fn forget_unfinished(&self, artifact: &Artifact) {
        if self.0.parts.may_have_some() {
            let (parts, artifact) = (Arc::clone(&self.0.parts), artifact.clone());
            // What stays is removed when it is old.
            let _ = tokio::task::spawn_blocking(move || parts.forget(&artifact)).await;
        }
    }

    /// What an earlier try left, if its bytes are still those that were noted.
    async fn beginning(&self, url: &Url, artifact: &Artifact) -> Result<Option<(Sink, Note)>, Failure> {
        if !self.0.parts.may_have_some() {
            return Ok(None);
        }
        let (parts, slot, url) = (Arc::clone(&self.0.parts), self.0.parts.slot(url, artifact), url.clone());
        blocking(move || {
            let Some((file, note)) = parts.take(&slot, &url) else { return Ok(None) };
            let keep = Keep { parts, slot, note: note.clone() };
            Ok(Sink::resume(file, keep).map(|sink| (sink, note)))
        })
        .await
    }

    /// The whole file follows; what comes of it is kept if the rest can be asked for later. Without a declared length
    /// it cannot: the bytes may have been unpacked on the way, and positions in them mean nothing to the server.
    async fn begin(
        &self,
        answer: Answer<gleaner_egress::Body>,
        headers: &HeaderMap,
        url: &Url,
        artifact: &Artifact,
        facts: &mut FetchFacts,
    ) -> Result<StoredBlob, Failure> {
        let takes_ranges = headers.get(header::ACCEPT_RANGES).is_none_or(|ranges| ranges != "none");
        let (200, true, Some(total), Some(validators)) =
            (answer.status, takes_ranges, answer.length, Validators::of(headers))
        else {
            return self.receive(answer, artifact, facts).await;
        };
        let parts = Arc::clone(&self.0.parts);
        let (slot, media_type) = (parts.slot(url, artifact), answer.media_type.clone());
        let note = Note {
            url: url.clone(),
            validators,
            media_type,
            total,
            length: 0,
            sha256: String::new(),
            transport: facts.transport.unwrap_or_default(),
        };
        let mut sink = self.sink();
        sink.make_resumable(Keep { parts, slot, note });
        self.receive_into(answer, sink, artifact, facts).await
    }
}
