//! The pages of the server: each has what the API says, escaped, whole without a script, and nothing that its policy
//! forbids.
//!
//! Must never compare a whole page: what is said counts, not how it is laid out.

use crate::queue_commands::wait_until;
use crate::serve::harvested;

const PAGES: [&str; 8] =
    ["/", "/jobs", "/jobs?state=skipped&text=nobody", "/jobs/1", "/jobs/2", "/keys", "/plugins", "/settings"];

#[test]
fn every_page_is_whole_and_keeps_to_the_policy() {
    let (_bench, served) = harvested();
    for path in PAGES {
        let page = served.page(path);
        for part in [
            "<!DOCTYPE html><html lang=\"en\">",
            "<main",
            "<h1>",
            "<nav aria-label",
            "</html>",
            "role=\"status\"",
        ] {
            assert!(page.contains(part), "{path} has no {part}: {page}");
        }
        assert_eq!(page.matches("<h1>").count(), 1, "{path}");
        for forbidden in [" style=", "<style", " onclick", "javascript:", "<script>"] {
            assert!(!page.contains(forbidden), "{path} has {forbidden}: {page}");
        }
        assert_eq!(page.matches("<script").count(), 1, "{path}: only the file");
        let mut ids: Vec<_> =
            page.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        ids.sort_unstable();
        let all = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), all, "{path} has an id twice");
        for label in page.split("<label for=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(ids.contains(&label), "{path}: the label of {label} is nobody's");
        }
        for table in page.split("<table").skip(1) {
            assert!(table.contains("<caption") && table.contains("scope=\"col\""), "{path}: {table}");
        }
    }
    served.stop();
}

#[test]
fn pages_say_what_the_api_says() {
    let (_bench, served) = harvested();
    let jobs = served.page("/jobs");
    for part in [
        "Of wheat &amp; &lt;script&gt;alert(1)&lt;/script&gt;",
        "doi:10.5555/none",
        "no_candidate",
        "3 works",
    ] {
        assert!(jobs.contains(part), "no {part}: {jobs}");
    }
    let found = served.page("/jobs?text=wheat");
    assert!(found.contains("Of wheat") && !found.contains("doi:10.5555/none"), "{found}");
    assert!(found.contains("value=\"wheat\""), "what was asked for stays: {found}");
    // A search looks at works one by one: it is not made again with every change.
    assert!(!found.contains("id=\"live-jobs\" data-live") && jobs.contains("id=\"live-jobs\" data-live"));
    let job = served.page("/jobs/1");
    for part in [
        "&lt;script&gt;",
        "https://press.example.org/1.pdf",
        "unpaywall",
        "application/pdf",
        "Addresses on the way",
        "took ",
        "<svg class=\"bar\"",
    ] {
        assert!(job.contains(part), "no {part}: {job}");
    }
    let document = served.api("/jobs/1");
    assert!(job.contains(document["file"]["sha256"].as_str().unwrap()));
    let name = document["file"]["name"].as_str().unwrap().replace('&', "&amp;");
    assert!(job.contains(&name), "no {name}: {job}");
    let failed = served.page("/jobs/3");
    assert!(failed.contains("https://page.example.org/x.pdf") && failed.contains("HTTP 404"), "{failed}");
    let keys = served.page("/keys?text=unpaywall");
    assert!(keys.contains("resolver:unpaywall") && keys.contains("action=\"/do/pause\""), "{keys}");
    let plugins = served.page("/plugins");
    let digest = served.api("/plugins")["plugins"][0]["sha256"].as_str().unwrap().to_owned();
    for part in ["Generation 1", &*digest, "on average", "May reach"] {
        assert!(plugins.contains(part), "no {part}: {plugins}");
    }
    let settings = served.page("/settings");
    assert!(settings.contains("orchestrator.workers") && settings.contains("gleaner.toml:"), "{settings}");
    wait_until("the overview has counted", || served.page("/").contains("unpaywall"));
    let overview = served.page("/");
    assert!(overview.contains("no_candidate") && overview.contains("Works by state"), "{overview}");
    served.stop();
}

#[test]
fn problems_are_pages_for_people() {
    let (_bench, served) = harvested();
    for (path, status, part) in [
        ("/jobs/99", 404, "no job in"),
        ("/nothing", 404, "nothing is at /nothing"),
        ("/jobs?state=%3Cb%3E", 400, "&lt;b&gt;"),
    ] {
        let answer = served.request("GET", path, "accept: text/html\r\n", "").expect(status);
        assert!(answer.body.contains(part) && answer.body.contains("What to do: "), "{answer:?}");
        assert!(!answer.body.contains("<b>"), "{answer:?}");
    }
    served.stop();
}
