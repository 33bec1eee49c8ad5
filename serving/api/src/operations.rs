//! Files for those who watch a server, made for the metrics that it tells; it talks to nobody.

/// A dashboard for Grafana, as JSON. Its data source is chosen when it is opened.
pub const DASHBOARD: &str = include_str!("../operations/grafana-dashboard.json");

/// Alert rules for Prometheus, as YAML.
pub const ALERT_RULES: &str = include_str!("../operations/prometheus-alerts.yaml");
