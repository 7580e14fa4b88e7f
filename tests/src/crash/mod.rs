//! Kills the real binary with SIGKILL again and again, starts it anew each time, and checks by machine that nothing was
//! lost, done twice, or given away.
//!
//! Half of the kills come at random moments, half at fault points. In every other round a second process works on the
//! same library; now and then one is stopped for longer than its leases last while another does its work, and goes on.
//! Must never be kinder to the binary than a power cut is to a process: the one that dies gets no signal that it could
//! handle, and nothing is tidied up between two runs.

mod checks;
mod corpus;
mod library;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use fastrand::Rng;
use gleaner_model::fault;

use crate::harness::{Bench, Output, Running, Signal, TIMEOUT};
use library::Look;

/// Rates high enough for hundreds of runs, one at which a burst after each restart would show, and more attempts than
/// there are kills.
const CONFIG: &str = r#"
[limits]
default-host = { concurrency = 4, rate = "1000/s", burst = 5 }
[limits.hosts]
"arxiv.org" = { shared = ["export.arxiv.org"], concurrency = 1, burst = 1, rate = "40/s" }
"api.crossref.org" = { concurrency = 3, rate = "1000/s" }
"www.ebi.ac.uk" = { rate = "1000/s" }
"doi.org" = { shared = ["dx.doi.org"], concurrency = 2, rate = "1000/s" }
"slow.example.org" = { burst = 10, rate = "20/s" }
[orchestrator]
backoff = "10ms"
max-attempts = 100000
lease-ttl = "30s"
heartbeat = "5s"
"#;

/// One process is stopped for every so many that are killed.
const KILLS_PER_STOP: usize = 50;

/// How long a run that was not killed may take.
const TO_THE_END: Duration = Duration::from_secs(300);

/// A run may end before it is to die; if most do, something is wrong with the moments.
const ROUNDS_PER_KILL: usize = 3;

/// How a run is to die.
#[derive(Debug, Clone, Copy)]
enum Death {
    /// So long after its start.
    After(Duration),
    /// When the host has seen so many requests more.
    Asking(&'static str, usize),
    /// At that pass of that fault point.
    At(&'static str, usize),
}

/// What happened, in numbers.
#[derive(Debug, Default)]
pub struct Report {
    /// Where processes died: fault points by name, `a random moment`, `a random request`.
    pub kills: BTreeMap<&'static str, usize>,
    /// Runs that came to their end before they were to die.
    pub survivors: usize,
    /// Rounds in which another process worked on the library while one died.
    pub accompanied: usize,
    /// Processes that were stopped for longer than their leases, and went on.
    pub stopped: usize,
    /// Works at the end, by state.
    pub states: BTreeMap<String, usize>,
    /// Blobs that no row named after some kill. Each was whole, and a later run adopted it.
    pub adopted: usize,
    /// The most attempts that a job was charged between two of its records.
    pub most_attempts: u64,
    /// What the simulated web was asked, all runs together.
    pub requests: usize,
}

/// Kills the binary so many times and lets it finish; the same seed draws the same deaths. Panics at the first thing
/// that is wrong.
pub fn run(kills: usize, seed: u64) -> Report {
    let most_rounds = kills * ROUNDS_PER_KILL;
    let mut crash = Crash::new(most_rounds + kills / KILLS_PER_STOP * ROUNDS_PER_KILL, seed);
    let mut rounds = 0;
    while crash.report.kills.values().sum::<usize>() < kills {
        assert!(rounds < most_rounds, "too few died in {rounds} rounds: {:?}", crash.report.kills);
        crash.round(rounds);
        rounds += 1;
    }
    let most_rounds = rounds + kills / KILLS_PER_STOP * ROUNDS_PER_KILL;
    while crash.report.stopped < kills / KILLS_PER_STOP {
        assert!(rounds < most_rounds, "too few were stopped in {rounds} rounds: {}", crash.report.stopped);
        crash.stop_one(rounds);
        rounds += 1;
    }
    let list = corpus::list(rounds);
    harvest(&crash.bench, &list);
    crash.finish(&checks::Truth::of(corpus::world(rounds), &list))
}

/// Harvests the list to its end.
fn harvest(bench: &Bench, list: &str) {
    let list = bench.file("list.txt", list);
    // 1: some works of the list cannot be had, and some of its lines name none.
    bench.spawn(&get(&list)).wait(TO_THE_END).expect_code(1);
}

fn get(list: &str) -> [&str; 5] {
    ["get", "--input", list, "--max-wait", "2m"]
}

/// Asks a process that serves to end, as an operator does.
fn dismiss(run: Running) {
    run.signal(Signal::TERM);
    let output = run.wait(TIMEOUT);
    assert!(!output.stderr.contains("panicked at"), "{}", output.stderr);
    // None: the signal came before the process could handle any.
    assert!(matches!(output.code, None | Some(0)), "it ended with {:?}: {}", output.code, output.stderr);
}

struct Crash {
    bench: Bench,
    random: Rng,
    last: Look,
    report: Report,
    /// Blobs without a row, by their hash, after any kill.
    orphans: BTreeSet<String>,
}

impl Crash {
    fn new(rounds: usize, seed: u64) -> Self {
        let mut bench = Bench::new(corpus::world(rounds));
        bench.configure(CONFIG);
        Self {
            bench,
            random: Rng::with_seed(seed),
            last: Look::default(),
            report: Report::default(),
            orphans: BTreeSet::new(),
        }
    }

    /// One run, its death, and a look at what it left.
    fn round(&mut self, round: usize) {
        let list = self.bench.file("list.txt", &corpus::list(round));
        let death = self.draw(round);
        // Not while every fault point has its first turn: the other could do what leads there.
        let has_company = round % 4 == 1 || round.is_multiple_of(4) && round / 2 >= fault::NAMES.len();
        let company = has_company.then(|| self.bench.spawn(&["queue", "run"]));
        let output = self.run_to(death, &get(&list));
        if let Some(company) = company {
            self.report.accompanied += 1;
            // Half of them have time to take over what the dead one held.
            if self.random.bool() {
                self.bench.has_seen(corpus::FILES, usize::MAX, Duration::from_millis(1500));
            }
            dismiss(company);
        }
        // Words of a panic, and of a resolver that could not be loaded: without it works would end in another way.
        for words in ["panicked at", "is not used"] {
            assert!(!output.stderr.contains(words), "{}", output.stderr);
        }
        match output.code {
            None => *self.report.kills.entry(death.place()).or_default() += 1,
            Some(_) => {
                output.expect_code(1);
                self.report.survivors += 1;
            }
        }
        self.look();
    }

    /// One process is stopped in the middle of its work, another does all there is to do, and then the first goes on.
    fn stop_one(&mut self, round: usize) {
        let list = self.bench.file("list.txt", &corpus::list(round));
        let before = self.bench.sim().seen(corpus::FILES).requests.len();
        let run = self.bench.spawn(&get(&list));
        self.bench.has_seen(corpus::FILES, before + 2, Duration::from_secs(5));
        let mut is_stopped = run.signal_if_there(Signal::STOP);
        // Stopped amid a write it keeps every other writer waiting, as is said in ARCHITECTURE.md: that is not what is
        // looked at here.
        while is_stopped && self.bench.run(&["queue", "enqueue", "10.5555/made.3"]).code == Some(4) {
            run.signal(Signal::CONT);
            self.bench.has_seen(corpus::FILES, usize::MAX, Duration::from_millis(20));
            is_stopped = run.signal_if_there(Signal::STOP);
        }
        if !is_stopped {
            // It had no more to do.
            run.wait(TIMEOUT).expect_code(1);
            self.report.survivors += 1;
            return self.look();
        }
        self.bench.spawn(&get(&list)).wait(TO_THE_END).expect_code(1);
        run.signal(Signal::CONT);
        run.wait(TO_THE_END).expect_code(1);
        self.report.stopped += 1;
        self.look();
    }

    /// Fault points in turn, at their first pass before any other; random moments between them.
    fn draw(&mut self, round: usize) -> Death {
        let points = fault::NAMES.len();
        match (round % 2, round / 2) {
            (0, turn) => {
                // The log is merged once, when a run ends.
                let name = fault::NAMES[turn % points];
                let latest = if turn < points || name.starts_with("log.") { 1 } else { 12 };
                Death::At(name, self.random.usize(1..=latest))
            }
            (_, turn) if turn % 2 == 0 => {
                // Half of them while the run starts: then it enqueues and takes back leases.
                let latest = if self.random.bool() { 60 } else { 600 };
                Death::After(Duration::from_millis(self.random.u64(0..=latest)))
            }
            _ => {
                let hosts = ["export.arxiv.org", "api.unpaywall.org", corpus::FILES];
                Death::Asking(hosts[self.random.usize(..hosts.len())], self.random.usize(1..=10))
            }
        }
    }

    fn run_to(&self, death: Death, args: &[&str]) -> Output {
        match death {
            Death::After(time) => self.bench.spawn(args).kill_after(time),
            Death::Asking(host, more) => {
                let before = self.bench.sim().seen(host).requests.len();
                let running = self.bench.spawn(args);
                // Nothing more to ask there is as good a moment as any.
                self.bench.has_seen(host, before + more, Duration::from_secs(1));
                running.kill_after(Duration::ZERO)
            }
            Death::At(name, pass) => {
                let armed = format!("GLEANER_FAULT={name}:{pass}");
                self.bench.spawn_under(&["env", &armed], args).wait(TIMEOUT)
            }
        }
    }

    fn look(&mut self) {
        let Some(look) = Look::at(&self.bench, &self.last) else { return };
        look.expect_charged_since(&self.last);
        self.report.most_attempts = self.report.most_attempts.max(look.most_attempts());
        self.orphans.extend(look.orphans(&self.bench.library()));
        self.last = look;
    }

    fn finish(mut self, truth: &checks::Truth) -> Report {
        self.look();
        let orphans = self.last.orphans(&self.bench.library());
        assert!(orphans.is_empty(), "blobs that no row names: {orphans:?}");
        truth.expect(&self.last);
        checks::expect_whole(&self.bench, &self.last);
        checks::expect_told_once(&self.last);
        checks::expect_limits_kept(&self.bench);
        self.report.states = self.last.states();
        self.report.adopted = self.orphans.len();
        self.report.requests = self.bench.sim().report().requests;
        self.report
    }
}

impl Death {
    fn place(self) -> &'static str {
        match self {
            Self::After(_) => "a random moment",
            Self::Asking(..) => "a random request",
            Self::At(name, _) => name,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kills, survivors, accompanied, stopped, states, adopted, most_attempts, requests } = self;
        writeln!(f, "{} kills, {survivors} runs ended before theirs", kills.values().sum::<usize>())?;
        for (place, count) in kills {
            writeln!(f, "  {count:>4}  at {place}")?;
        }
        writeln!(
            f,
            "{accompanied} rounds with another process, {stopped} processes stopped for longer than their leases"
        )?;
        writeln!(f, "works: {states:?}, each as in a harvest that nobody disturbed")?;
        writeln!(f, "blobs without a row after a kill: {adopted}, all whole, all adopted later")?;
        writeln!(f, "most attempts charged to a job between two records: {most_attempts}")?;
        write!(f, "{requests} requests, every limit kept over all runs")
    }
}
