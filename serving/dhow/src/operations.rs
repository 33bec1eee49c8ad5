//! `dhow operations`: writes the dashboard and the alert rules that go with the server's metrics.

use std::path::Path;

use crate::arguments::{OperationsAction, OperationsArguments};
use crate::failure::Failure;

/// Runs the command.
///
/// # Errors
/// A folder that cannot be made, or a file that cannot be written.
pub fn run(arguments: &OperationsArguments) -> Result<(), Failure> {
    let OperationsAction::Export { folder } = &arguments.action;
    std::fs::create_dir_all(folder)?;
    for (name, text) in
        [("grafana-dashboard.json", dhow_api::DASHBOARD), ("prometheus-alerts.yaml", dhow_api::ALERT_RULES)]
    {
        let path: &Path = &folder.join(name);
        std::fs::write(path, text)?;
        println!("{}", path.display());
    }
    Ok(())
}
