//! Keys of secrets on the command line: makes and shows them, and reads the configured ones; what they seal is the store's business.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use dhow_store::{SecretKey, SecretKeys};

use crate::failure::Failure;
use crate::key_files;
use crate::platform::fresh_seed;

/// Arguments of `secrets`.
#[derive(Args)]
pub struct SecretsArguments {
    /// What to do.
    #[command(subcommand)]
    pub action: SecretsAction,
}

/// What `secrets` can do.
#[derive(Subcommand)]
pub enum SecretsAction {
    /// Makes and shows keys.
    Keys {
        /// What to do.
        #[command(subcommand)]
        action: SecretKeysAction,
    },
}

/// What `secrets keys` can do.
#[derive(Subcommand)]
pub enum SecretKeysAction {
    /// Makes a key in a new file that its owner alone can read, and prints the key's name; the file goes into `key_files`.
    New {
        /// The file.
        file: PathBuf,
    },
    /// Prints the name of a key, by which the database and the log speak of it.
    Show {
        /// The file.
        file: PathBuf,
    },
}

/// Runs `dhow secrets`.
///
/// # Errors
/// A file that exists already, or cannot be written, or is no key.
pub fn run(arguments: &SecretsArguments) -> Result<(), Failure> {
    let SecretsAction::Keys { action } = &arguments.action;
    let key = match action {
        SecretKeysAction::New { file } => make(file)?,
        SecretKeysAction::Show { file } => read(file)?,
    };
    println!("{}", key.id());
    Ok(())
}

/// The configured keys.
///
/// # Errors
/// A key that cannot be read or used.
pub fn configured(files: &[PathBuf]) -> Result<SecretKeys, Failure> {
    let keys = files.iter().map(|file| read(file)).collect::<Result<_, _>>()?;
    SecretKeys::new(keys).map_err(|error| Failure::Input(format!("secrets.key_files: {error}")))
}

fn make(path: &Path) -> Result<SecretKey, Failure> {
    let random = fresh_seed()?;
    let key = SecretKey::from_random(&random)?;
    key_files::write_new(path, &SecretKey::text_of(&random))?;
    Ok(key)
}

fn read(path: &Path) -> Result<SecretKey, Failure> {
    let text = key_files::read(path, "key of secrets")?;
    SecretKey::from_text(&text).map_err(|error| key_files::wrong(path, &error))
}
