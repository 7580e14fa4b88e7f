//! What views and changes say, as people read it: approved in `messages.txt`.
//!
//! Must never be a part of the program: `cargo xtask check` finds texts that have no example here.

const SAID: &[(&str, &str)] = &[
    (
        "a job",
        "fetching https://a.org/x.pdf failed 2 times (timeout); it is tried again at 2030-01-31T08:00:00.000Z",
    ),
    ("a job", "its time came at 2030-01-31T08:00:00.000Z; a run takes it up"),
    ("a job", "its next step is found when a run takes it up"),
    ("a job", "nothing holds it: it is the next of host:a.org, and runs when a worker is free"),
    ("a job", "host:a.org asked to slow down, and nothing of it runs before 2030-01-31T08:00:00.000Z"),
    (
        "a job",
        "arxiv is suspended until 2030-01-31T08:00:00.000Z because it failed 10 times in a row, the last time with plugin_trap: unreachable",
    ),
    (
        "a job",
        "then one call shows whether it works again; another file of that name ends it at once, and so does `gleaner queue resume resolver:arxiv`",
    ),
    ("a job", "4 steps of host:a.org run, and 4 at once is its limit"),
    ("a job", "`gleaner queue limit host:a.org --concurrency N` changes it"),
    ("a job", "unpaywall is being asked"),
    ("a job", "a file is being fetched from a.org"),
    ("a job", "it was just taken up"),
    (
        "a job",
        "it was just taken up by process 7; its lease lasts until 2030-01-31T08:00:00.000Z and is extended meanwhile",
    ),
    (
        "a job",
        "it was just taken up by process 7, and its lease expired at 2030-01-31T08:00:00.000Z: whoever worked on it does not answer",
    ),
    ("a job", "any run takes it back; `gleaner queue run` is one"),
    ("a job", "timeout, 2 times so far"),
    ("a job", "No step is left: it ends as skipped, no_candidate (3 resolvers asked)"),
    ("a job", "more than 10000 works go first under host:a.org at 4 at once"),
    (
        "an argument",
        "\"tomorrow\" is neither a time like 2030-01-31T08:00:00Z or 2030-01-31 nor a duration from now like 30m or 2h",
    ),
    (
        "a work",
        "doi:10.1000/x: its identifiers belong to several jobs: job 1 (doi:10.1000/x), job 2 (pmid:7); nothing was changed. Give the works apart",
    ),
    ("a setting", "resolver x needs the setting \"token\"; give it as resolvers.x.settings.token"),
    ("a setting", "resolver x needs the setting \"contact\"; give it at the top of the configuration"),
    (
        "an argument",
        "\"yesterday\" is neither a time like 2030-01-31T08:00:00Z or 2030-01-31 nor how long ago, like 30m or 7d",
    ),
];

#[test]
fn messages_are_as_they_were_read_and_approved() {
    let mut messages = gleaner_testing::Messages::new();
    for (title, text) in SAID {
        messages.text(title, text);
    }
    messages.assert_approved(env!("CARGO_MANIFEST_DIR"));
}
