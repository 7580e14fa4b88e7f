//! Answering for many works from what few requests find. Must never give a work what carries another name: who looks
//! through the records is told the name of each work.

use crate::{Failure, Host, Query, Resolution, Resolver};

/// What a work is called: the scheme, and the value in it.
pub type Name<'a> = (&'static str, &'a str);

/// Answers each query from the records that one request a scheme finds.
///
/// `name` is what a work is looked for by; none for a work that cannot be looked for together with others, which is then
/// asked about alone: choose `MOST` so that the 32 requests of a call are enough for all of them. `find` gets a scheme and
/// the values of all works that are looked for in it. Its failure is that of each of them. `answer` gets all records that
/// were found in a work's scheme, whosever they are, and the work's name.
pub fn answer_together<R: Resolver, T>(
    queries: &[Query],
    host: &impl Host,
    name: impl Fn(&Query) -> Option<Name<'_>>,
    find: impl Fn(&'static str, &[&str]) -> Result<Vec<T>, Failure>,
    answer: impl Fn(&[T], Name<'_>) -> Resolution,
) -> Vec<Result<Resolution, Failure>> {
    let mut found: Vec<(&str, Result<Vec<T>, Failure>)> = Vec::new();
    for (scheme, _) in queries.iter().filter_map(&name) {
        if found.iter().any(|(known, _)| *known == scheme) {
            continue;
        }
        let names = queries.iter().filter_map(&name).filter(|(other, _)| *other == scheme);
        let values: Vec<&str> = names.map(|(_, value)| value).collect();
        found.push((scheme, find(scheme, &values)));
    }
    let one = |query: &Query| {
        let Some(name) = name(query) else { return R::resolve(query, host) };
        let records = found.iter().find(|(scheme, _)| *scheme == name.0).map(|(_, records)| records);
        match records {
            Some(Ok(records)) => Ok(answer(records, name)),
            Some(Err(failure)) => Err(failure.clone()),
            None => Ok(Resolution::none()),
        }
    };
    queries.iter().map(one).collect()
}
