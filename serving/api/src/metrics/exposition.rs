//! Writes metrics in the text format of Prometheus, version 0.0.4; it knows none of them.

use std::fmt::Write;

use dhow_engine::LatencyHistogram;

/// Text that grows metric by metric.
#[derive(Default)]
pub(super) struct Exposition(String);

impl Exposition {
    /// Begins a metric.
    pub(super) fn head(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
    }

    /// Writes a value.
    pub(super) fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let escaped = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let labels: Vec<String> = labels.iter().map(|(key, text)| format!("{key}=\"{}\"", escaped(text))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        self.line(format_args!("{name}{labels} {value}"));
    }

    /// Writes metrics that have one value each: name, kind, help, value.
    pub(super) fn figures(&mut self, figures: &[(&str, &str, &str, f64)]) {
        for (name, kind, help, value) in figures {
            self.head(name, kind, help);
            self.sample(name, &[], *value);
        }
    }

    /// Writes one histogram of a metric whose head stands already; its unit is seconds.
    pub(super) fn histogram(&mut self, name: &str, labels: &[(&str, &str)], histogram: &LatencyHistogram) {
        let bucket = format!("{name}_bucket");
        for (bound_us, below) in histogram.cumulative() {
            let bound = (bound_us as f64 / 1e6).to_string();
            self.sample(&bucket, &[labels, &[("le", bound.as_str())]].concat(), below as f64);
        }
        self.sample(&bucket, &[labels, &[("le", "+Inf")]].concat(), histogram.count() as f64);
        self.sample(&format!("{name}_sum"), labels, histogram.sum_us() as f64 / 1e6);
        self.sample(&format!("{name}_count"), labels, histogram.count() as f64);
    }

    /// What was written.
    pub(super) fn into_text(self) -> String {
        self.0
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a text cannot fail.
        let _infallible = writeln!(self.0, "{line}");
    }
}
