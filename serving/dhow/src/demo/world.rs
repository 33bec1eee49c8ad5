//! The simulated world on disk: which simulation a folder holds, and the truth beside it, which no trainer reads.

use std::fs;
use std::path::PathBuf;

use dhow_datasets::{SimulationSettings, Truth};

use crate::configuration::Configuration;
use crate::failure::Failure;

/// A folder that belongs to one simulation.
pub struct World {
    folder: PathBuf,
}

impl World {
    /// Marks the data folder as this simulation's, or checks that it is.
    ///
    /// # Errors
    /// The folder holds another simulation or other data.
    pub fn claim(configuration: &Configuration, simulation: &SimulationSettings) -> Result<Self, Failure> {
        let folder = configuration.data_dir.join("simulation");
        let mark = folder.join("settings.txt");
        let described = format!("{simulation:?}\n");
        match fs::read_to_string(&mark) {
            Ok(found) if found == described => {}
            Ok(found) => {
                let shown = configuration.data_dir.display();
                return Err(Failure::Input(format!(
                    "`{shown}` holds another simulation; choose another folder with --data-dir\n  there: {}\n  asked: {}",
                    found.trim(),
                    described.trim()
                )));
            }
            Err(_) if configuration.data_dir.join("log").exists() => {
                let shown = configuration.data_dir.display();
                return Err(Failure::Input(format!(
                    "`{shown}` holds data that is not the demo's; choose another folder with --data-dir"
                )));
            }
            Err(_) => {
                fs::create_dir_all(&folder)
                    .map_err(|error| Failure::Input(format!("{}: {error}", folder.display())))?;
                fs::write(&mark, described)?;
            }
        }
        Ok(Self { folder })
    }

    /// Writes the truth beside the data; no trainer reads it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_truth(&self, truth: &Truth) -> Result<(), Failure> {
        let file = std::io::BufWriter::new(fs::File::create(self.folder.join("truth.json"))?);
        Ok(serde_json::to_writer(file, truth)?)
    }
}
