//! Logs and metrics, both as lines of JSON on standard output, from where Lambda takes them to CloudWatch.

use std::io::{self, Write};

use serde_json::{Map, Value, json};
use tintype_model::UnixMillis;
use tracing_subscriber::EnvFilter;

use crate::environment::Variables;

/// The metrics' namespace.
pub const NAMESPACE: &str = "Tintype";

/// Starts the log: a JSON object a line, the event's fields and `message`, `level` and `timestamp` at its top, those
/// of the innermost span under `span`.
///
/// `RUST_LOG`, else the level that the function is configured with, else `info`.
pub fn start_log(variables: &Variables) {
    let configured = |name| variables.optional(name).ok().flatten();
    let wanted = configured("RUST_LOG").or_else(|| configured("AWS_LAMBDA_LOG_LEVEL"));
    let filter = wanted.and_then(|wanted| EnvFilter::try_new(wanted.to_ascii_lowercase()).ok());
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_target(false)
        .with_env_filter(filter.unwrap_or_else(|| EnvFilter::new("info")))
        .with_writer(io::stdout)
        .init();
}

/// The unit of the values of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A number of things.
    Count,
    /// A time.
    Milliseconds,
    /// A size.
    Bytes,
}

impl Unit {
    /// The name in CloudWatch (`MetricDatum`).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Milliseconds => "Milliseconds",
            Self::Bytes => "Bytes",
        }
    }
}

/// The values of one metric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// The unit of its values.
    pub unit: Unit,
    /// Its values. A metric without any is not sent.
    pub values: Vec<u64>,
}

/// The most values that a document may have of one metric (CloudWatch embedded metric format specification).
const MOST_VALUES: usize = 100;

/// A document in CloudWatch's embedded metric format, version 1, with the dimension `Environment`.
///
/// Every name and environment together are one series; ten series are free, so names are few, and the `properties` of
/// the document are only logged. Beyond 100 values of a metric the rest is left out.
#[must_use]
pub fn metric_document(
    environment: &str,
    at: UnixMillis,
    metrics: Vec<Metric>,
    properties: Map<String, Value>,
) -> Value {
    let mut document = properties;
    let mut definitions = Vec::new();
    for Metric {
        name,
        unit,
        mut values,
    } in metrics
    {
        values.truncate(MOST_VALUES);
        let value = match &values[..] {
            [] => continue,
            [value] => json!(value),
            values => json!(values),
        };
        definitions.push(json!({ "Name": name, "Unit": unit.name() }));
        document.insert(name.to_owned(), value);
    }
    document.insert("Environment".to_owned(), json!(environment));
    document.insert(
        "_aws".to_owned(),
        json!({
            "Timestamp": at.0,
            "CloudWatchMetrics": [{
                "Namespace": NAMESPACE,
                "Dimensions": [["Environment"]],
                "Metrics": definitions,
            }],
        }),
    );
    Value::Object(document)
}

/// Writes a document as one line on standard output.
pub fn write_metrics(document: &Value) {
    let line = format!("{document}\n");
    let mut stdout = io::stdout().lock();
    if let Err(error) = stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush()) {
        tracing::warn!(%error, "metrics are lost");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(name: &'static str, unit: Unit, values: &[u64]) -> Metric {
        Metric {
            name,
            unit,
            values: values.to_vec(),
        }
    }

    /// The rules of the specification's JSON schema that a document can break.
    fn assert_valid(document: &Value) {
        let aws = document["_aws"].as_object().unwrap();
        assert!(aws["Timestamp"].is_u64());
        let directives = aws["CloudWatchMetrics"].as_array().unwrap();
        assert!(!directives.is_empty());
        for directive in directives {
            let namespace = directive["Namespace"].as_str().unwrap();
            assert!((1..=1024).contains(&namespace.len()));
            for set in directive["Dimensions"].as_array().unwrap() {
                let names = set.as_array().unwrap();
                assert!(names.len() <= 30);
                for name in names {
                    let value = document[name.as_str().unwrap()].as_str().unwrap();
                    assert!((1..=1024).contains(&value.len()) && value.is_ascii());
                }
            }
            let metrics = directive["Metrics"].as_array().unwrap();
            assert!(metrics.len() <= 100);
            for metric in metrics {
                assert!(["Count", "Milliseconds", "Bytes"].contains(&metric["Unit"].as_str().unwrap()));
                match &document[metric["Name"].as_str().unwrap()] {
                    Value::Number(_) => {}
                    Value::Array(values) => {
                        assert!((1..=100).contains(&values.len()));
                        assert!(values.iter().all(Value::is_number));
                    }
                    other => panic!("{metric} is {other}"),
                }
            }
        }
    }

    #[test]
    fn a_document_follows_the_specification() {
        let many: Vec<_> = (0..150).collect();
        let metrics = vec![
            metric("Processed", Unit::Count, &[2]),
            metric("RenderMilliseconds", Unit::Milliseconds, &[10, 20]),
            metric("SourceBytes", Unit::Bytes, &many),
            metric("RenditionBytes", Unit::Bytes, &[]),
        ];
        let properties = Map::from_iter([("request_id".to_owned(), json!("r-1"))]);
        let document = metric_document("dev", UnixMillis(1_700_000_000_000), metrics, properties);
        assert_valid(&document);
        assert_eq!(document["_aws"]["Timestamp"], json!(1_700_000_000_000_u64));
        assert_eq!(document["Environment"], "dev");
        assert_eq!(document["Processed"], 2);
        assert_eq!(document["RenderMilliseconds"], json!([10, 20]));
        assert_eq!(document["request_id"], "r-1");
        let defined = document["_aws"]["CloudWatchMetrics"][0]["Metrics"].to_string();
        assert!(
            !defined.contains("RenditionBytes"),
            "without values it is not defined: {defined}"
        );
    }
}
