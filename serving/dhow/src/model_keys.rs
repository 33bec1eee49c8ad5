//! Keys of models on the command line: makes and shows them, reads the configured ones, opens the registry with them.

use std::path::Path;

use dhow_engine::Folders;
use dhow_registry::{ModelKeys, Registry, SigningKey};

use crate::arguments::KeysAction;
use crate::configuration::Configuration;
use crate::failure::Failure;
use crate::key_files;
use crate::platform::fresh_seed;

/// Runs `dhow models keys`.
///
/// # Errors
/// A file that exists already, or cannot be written, or is no key.
pub fn run(action: &KeysAction) -> Result<(), Failure> {
    let key = match action {
        KeysAction::New { file } => make(file)?,
        KeysAction::Show { file } => read(file)?,
    };
    println!("{}", key.public_key());
    Ok(())
}

/// What the configuration says of keys.
///
/// # Errors
/// A key that cannot be read or used.
pub fn configured(configuration: &Configuration) -> Result<ModelKeys, Failure> {
    let signing = configuration.signing_key_file.as_deref().map(read).transpose()?;
    ModelKeys::new(signing, configuration.trusted_keys.clone()).map_err(Failure::input)
}

/// The registry in the data folder, with the configured keys.
///
/// # Errors
/// A damaged registry, or a key that cannot be read or used.
pub fn open_registry(configuration: &Configuration) -> Result<Registry, Failure> {
    Ok(Registry::open_with(Folders::of(&configuration.data_dir).registry, configured(configuration)?)?)
}

fn make(path: &Path) -> Result<SigningKey, Failure> {
    let seed = fresh_seed()?;
    let key = SigningKey::from_seed(&seed)?;
    key_files::write_new(path, &SigningKey::seed_text(&seed))?;
    Ok(key)
}

fn read(path: &Path) -> Result<SigningKey, Failure> {
    let text = key_files::read(path, "signing key")?;
    SigningKey::from_text(&text).map_err(|error| key_files::wrong(path, &error))
}
