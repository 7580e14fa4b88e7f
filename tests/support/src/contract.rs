//! What every resolver owes, whatever its service answers, as tests of its own. Names `gleaner_sdk` only where it is used,
//! in a resolver's tests: it must never be imported here.

/// Two tests of a resolver: that failures of the way to its service keep their disposition, and that a mutated answer is
/// read or refused.
///
/// `asks` is the URL of its first request, `with` makes the host that has all but an answer to it, `by` resolves with a
/// host; `reads` is an answer with files, and the last `by` resolves with that or another as its body.
#[macro_export]
macro_rules! contract_of_answers {
    (asks: $url:expr, with: $host:expr, by: $resolve:expr, reads: $answer:expr, by: $read:expr $(,)?) => {
        #[test]
        fn failures_of_the_way_there_keep_their_disposition() {
            ::gleaner_sdk::testing::assert_failures_keep_their_disposition($url, $host, $resolve);
        }

        #[test]
        fn a_mutated_answer_is_read_or_refused() {
            $crate::each_mutation(&[$answer], |body| {
                drop(::gleaner_sdk::testing::urls_read(&$read(body)));
            });
        }
    };
}
