//! What commands of the library say of files, as people read it: approved in `messages.txt`.
//!
//! Must never be a part of the program: `cargo xtask check` finds texts that have no example here.

/// One example of each.
pub(crate) const OF_FILES: &[&str] = &[
    "3 files would be asked for",
    "doi:10.1000/x (https://a.org/x.pdf) has changed at its source; both versions are kept",
    "doi:10.1000/x (https://a.org/x.pdf) was missing or damaged, and is whole again",
    "doi:10.1000/x (https://a.org/x.pdf) is gone at its source; the file is kept",
    "doi:10.1000/x (https://a.org/x.pdf) could not be compared: http_status 503",
    "⠋ 17 files asked for  4/s",
    "17 as they were, 2 changed, 1 fetched anew, 1 gone, 0 failed; 1.02 MiB received",
    "4 files wait longer than --max-wait allows; they stay due",
    "5 files have neither ETag nor Last-Modified; --force fetches them again",
    "6 files have no record of where they are from",
    "`gleaner library manifest --run 2026-11-25T120000000Z-0f3a9c21` has every answer",
    "library/blobs/ab/cdef: no job holds it",
    "7 files that no job holds, 3.00 MiB; `gleaner library gc` removes them",
    "`gleaner library refresh` fetches what is missing or damaged anew",
    "7 files, 7 names and 1 temporary files would go, 3.00 MiB",
    "only `gleaner library manifest` prints CSV; use --format json here",
    "10.1000/none: the library has no file of it; `gleaner queue explain` says why",
    "10.1000/x: its file is missing; `gleaner library refresh` fetches it anew",
    "\"yesterday\" is neither a time like 2030-01-31T08:00:00Z nor how long ago, like 30m or 7d",
];
