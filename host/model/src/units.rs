//! Durations, sizes and rates as people write them in configuration: `"30s"`, `"64MiB"`, `"1/3s"`.
//!
//! Must never accept a bare number where a unit is meant: 30 of what?

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A duration written as `500ms`, `30s`, `10m`, `2h`, `30d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

/// A size in bytes written as `512`, `64KiB`, `64MiB`, `2GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

/// So many in a time: `5/s`, `1/3s`, `1000/5m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub count: NonZeroU32,
    /// In how long; not zero.
    pub per: Duration,
}

impl Rate {
    /// The time between two of them at an even pace.
    pub fn interval(self) -> Duration {
        self.per / self.count.get()
    }
}

/// Why a text is not a duration, size or rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {expected}")]
pub struct UnitError {
    text: String,
    expected: &'static str,
}

const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
/// A hundred years: beyond it, adding to the present may overflow.
const LONGEST_MS: u64 = 36_500 * 86_400_000;
const SIZES: [(&str, u64); 4] = [("", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

impl FromStr for Span {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        scaled(text, &UNITS)
            .filter(|ms| *ms <= LONGEST_MS)
            .map(|ms| Self(Duration::from_millis(ms)))
            .ok_or_else(|| wrong(text, "a duration: write it like 500ms, 30s, 10m, 2h or 30d"))
    }
}

impl FromStr for ByteSize {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        scaled(text, &SIZES)
            .map(Self)
            .ok_or_else(|| wrong(text, "a size: write it like 512, 64KiB, 64MiB or 2GiB"))
    }
}

impl FromStr for Rate {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let read = || {
            let (count, per) = text.trim().split_once('/')?;
            let count = count.trim().parse().ok()?;
            let per = per.trim();
            let ms = if per.starts_with(|c: char| c.is_ascii_digit()) {
                scaled(per, &UNITS)?
            } else {
                scaled(&format!("1{per}"), &UNITS)?
            };
            (1..=LONGEST_MS).contains(&ms).then_some(Self { count, per: Duration::from_millis(ms) })
        };
        read().ok_or_else(|| wrong(text, "a rate: write it like 5/s, 1/3s or 1000/5m"))
    }
}

/// A whole number with one of these units, as a multiple of the smallest.
fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = (text[..end].parse::<u64>().ok()?, text[end..].trim_start());
    let (_, scale) = units.iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(*scale)
}

/// The number in the largest unit that divides it.
fn largest(number: u64, units: &[(&str, u64)]) -> String {
    let fits = |scale: &u64| number.is_multiple_of(*scale) && number >= *scale;
    let (name, scale) = units.iter().rev().find(|(_, scale)| fits(scale)).unwrap_or(&units[0]);
    format!("{}{name}", number / scale)
}

fn wrong(text: &str, expected: &'static str) -> UnitError {
    UnitError { text: text.chars().take(80).collect(), expected }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&largest(u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX), &UNITS))
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&largest(self.0, &SIZES))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per = Span(self.per).to_string();
        let unit = per.strip_prefix('1').filter(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()));
        write!(f, "{}/{}", self.count, unit.unwrap_or(&per))
    }
}

/// Reads and writes a unit as text, and says so in a JSON Schema. A number without a unit is refused with words that say
/// how to write it.
macro_rules! through_text {
    ($($unit:ty = $expected:literal, $name:literal, $pattern:literal);*) => {$(
        impl schemars::JsonSchema for $unit {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "title": $name, "pattern": $pattern })
            }
        }

        impl Serialize for $unit {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $unit {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;

                impl serde::de::Visitor<'_> for Text {
                    type Value = $unit;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expected)
                    }

                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$unit, E> {
                        text.parse().map_err(E::custom)
                    }
                }

                deserializer.deserialize_str(Text)
            }
        }
    )*};
}

through_text!(
    Span = "a duration in quotes, like \"500ms\", \"30s\", \"10m\", \"2h\" or \"30d\"",
        "duration", r"^\s*[0-9]+\s*(ms|s|m|h|d)\s*$";
    ByteSize = "a size in quotes, like \"512\", \"64KiB\", \"64MiB\" or \"2GiB\"",
        "size", r"^\s*[0-9]+\s*(|KiB|MiB|GiB)\s*$";
    Rate = "a rate in quotes, like \"5/s\", \"1/3s\" or \"1000/5m\"",
        "rate", r"^\s*[0-9]+\s*/\s*[0-9]*\s*(ms|s|m|h|d)\s*$"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_read_and_write() {
        for text in ["500ms", "30s", "10m", "2h", "30d", "90s", "0ms"] {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), text);
        }
        for text in ["512", "64KiB", "64MiB", "2GiB", "1025"] {
            assert_eq!(text.parse::<ByteSize>().unwrap().to_string(), text);
        }
        for text in ["5/s", "1/3s", "1000/5m", "1/10s"] {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn one_per_three_seconds_is_one_per_three_seconds() {
        assert_eq!("1/3s".parse::<Rate>().unwrap().interval(), Duration::from_secs(3));
        assert_eq!("5/s".parse::<Rate>().unwrap().interval(), Duration::from_millis(200));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in
            ["", "30", "s", "-1s", "1.5s", "1w", "99999999999999999999s", "18446744073709551615d", "36501d"]
        {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
        for text in ["", "64MB", "-1", "18446744073709551615GiB"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
        for text in ["", "0/s", "5", "5/0s", "x/s", "1 per 3 seconds", "1/36501d"] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }
}
