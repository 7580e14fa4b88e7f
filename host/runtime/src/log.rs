//! A guest's log lines: held to the call's limits, passed on to `tracing`, the last ones kept.
//!
//! Must never keep or pass on more than the limits, nor hide that something was dropped.

use std::collections::VecDeque;

use crate::plugin::{LogLevel, LogLine};
use crate::text::tidy;

const MOST_BYTES: usize = 4096;
const MOST_FIELDS: usize = 16;
const KEPT: usize = 50;

/// The log of one call.
pub(crate) struct Log {
    plugin: String,
    job: String,
    most: u32,
    passed_on: u32,
    dropped: u64,
    kept: VecDeque<LogLine>,
}

impl Log {
    pub(crate) fn new(plugin: &str, job: &str, most: u32) -> Self {
        let (plugin, job) = (plugin.to_owned(), job.to_owned());
        Self { plugin, job, most, passed_on: 0, dropped: 0, kept: VecDeque::new() }
    }

    /// Takes one line in, or counts it as dropped.
    pub(crate) fn add(&mut self, level: LogLevel, message: &str, fields: &[(String, String)]) {
        if self.passed_on >= self.most {
            self.dropped += 1;
            return;
        }
        self.passed_on += 1;
        self.pass_on(line(level, message, fields));
    }

    /// The last lines, the very last saying how many were dropped if any were.
    pub(crate) fn finish(&mut self) -> Vec<LogLine> {
        if self.dropped > 0 {
            let message = format!("{} further lines dropped: a call may log {}", self.dropped, self.most);
            self.pass_on(LogLine { level: LogLevel::Warn, message, fields: Vec::new() });
        }
        std::mem::take(&mut self.kept).into()
    }

    /// The last error, else the last warning: what the guest complained of before it fell.
    pub(crate) fn last_words(&self) -> Option<&str> {
        let last = |level| self.kept.iter().rev().find(|line| line.level == level);
        last(LogLevel::Error).or_else(|| last(LogLevel::Warn)).map(|line| line.message.as_str())
    }

    fn pass_on(&mut self, line: LogLine) {
        let (plugin, job, message) = (self.plugin.as_str(), self.job.as_str(), line.message.as_str());
        let fields: Vec<_> = line.fields.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let fields = fields.join(" ");
        match line.level {
            LogLevel::Debug => tracing::debug!(plugin, job, fields, "{message}"),
            LogLevel::Info => tracing::info!(plugin, job, fields, "{message}"),
            LogLevel::Warn => tracing::warn!(plugin, job, fields, "{message}"),
            LogLevel::Error => tracing::error!(plugin, job, fields, "{message}"),
        }
        if self.kept.len() == KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(line);
    }
}

/// A line cut to 4 KiB, fields included.
fn line(level: LogLevel, message: &str, fields: &[(String, String)]) -> LogLine {
    let message = tidy(message, MOST_BYTES);
    let mut left = MOST_BYTES.saturating_sub(message.len());
    let mut kept = Vec::new();
    for (key, value) in fields.iter().take(MOST_FIELDS) {
        let (key, value) = (tidy(key, left.min(64)), tidy(value, left));
        left = left.saturating_sub(key.len() + value.len());
        kept.push((key, value));
        if left == 0 {
            break;
        }
    }
    LogLine { level, message, fields: kept }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_and_counted() {
        let mut log = Log::new("p", "j", 100);
        for n in 0..1000 {
            log.add(LogLevel::Info, &format!("line {n}"), &[]);
        }
        let lines = log.finish();
        assert_eq!(lines.len(), 50);
        assert_eq!(lines[48].message, "line 99");
        assert_eq!(lines[49].message, "900 further lines dropped: a call may log 100");
    }

    #[test]
    fn a_long_line_is_cut_with_its_fields() {
        let mut log = Log::new("p", "j", 100);
        let field = |n: usize| (format!("k{n}"), "v".repeat(3000));
        log.add(LogLevel::Error, "m", &[field(1), field(2), field(3)]);
        log.add(LogLevel::Error, &"m".repeat(9000), &[]);
        let lines = log.finish();
        assert!(lines[0].fields.iter().map(|(k, v)| k.len() + v.len()).sum::<usize>() < 4200);
        assert!(lines[1].message.len() <= 4099);
    }
}
