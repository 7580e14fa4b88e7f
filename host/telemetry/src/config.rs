//! The `[telemetry]` section.
//!
//! Must never hold a header or a key of a collector: those come from the standard variables.

use schemars::JsonSchema;
use serde::Deserialize;

/// The `[telemetry]` section.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TelemetryConfig {
    /// The collector; none: nothing is sent, unless a variable names one.
    pub otlp_endpoint: Option<Endpoint>,
    /// The part of all works that is traced, 0 to 1.
    pub sample: Sample,
}

/// Where a collector is: `http://localhost:4318`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(into = "String")]
pub struct Endpoint(String);

impl Endpoint {
    /// The address for one signal: `traces`, `metrics`.
    pub(crate) fn of(&self, signal: &str) -> String {
        format!("{}/v1/{signal}", self.0)
    }
}

impl TryFrom<String> for Endpoint {
    type Error = String;

    /// The text is not repeated: a password may stand in it.
    fn try_from(text: String) -> Result<Self, String> {
        let shape = "write it like \"http://localhost:4318\"";
        let uri = text
            .parse::<http::Uri>()
            .map_err(|error| format!("no address of a collector ({error}); {shape}"))?;
        let is_plain =
            uri.authority().is_some_and(|all| !all.as_str().contains('@')) && uri.query().is_none();
        if !matches!(uri.scheme_str(), Some("http" | "https")) || !is_plain {
            return Err(format!(
                "a collector is reached over http or https, without a password in the address; {shape}"
            ));
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }
}

/// A part of a whole, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(try_from = "f64")]
#[schemars(into = "f64")]
pub struct Sample(f64);

impl Sample {
    /// The part.
    pub fn part(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Sample {
    type Error = String;

    fn try_from(part: f64) -> Result<Self, String> {
        let fits = (0.0..=1.0).contains(&part);
        fits.then_some(Self(part))
            .ok_or_else(|| format!("telemetry.sample is a part of 1, such as 0.1, not {part}"))
    }
}

/// What is said of values that are none, for those who approve messages.
#[cfg(test)]
pub(crate) fn examples() -> Vec<String> {
    let endpoint = |text: &str| Endpoint::try_from(text.to_owned()).unwrap_err();
    vec![endpoint(""), endpoint("ftp://a.example"), Sample::try_from(7.0).unwrap_err()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_sent_to_is_refused_without_being_repeated() {
        let read = |text: &str| Endpoint::try_from(text.to_owned());
        assert_eq!(
            read("https://otel.example.org/base/").unwrap().of("traces"),
            "https://otel.example.org/base/v1/traces"
        );
        for text in [
            "",
            "localhost:4318",
            "ftp://a.example",
            "http://user:sesame@a.example",
            "http://a.example/?key=sesame",
            "http://",
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains("http://localhost:4318") && !error.contains("sesame"), "{error}");
        }
        assert!(Sample::try_from(1.5).is_err() && Sample::try_from(f64::NAN).is_err());
    }

    #[test]
    fn a_mutated_endpoint_is_refused_or_an_address() {
        gleaner_testing::each_mutation(&["http://localhost:4318", "https://a.example/base"], |text| {
            if let Ok(endpoint) = Endpoint::try_from(text.to_owned()) {
                assert!(endpoint.of("traces").starts_with("http"), "{endpoint:?}");
            }
        });
    }
}
