//! Keys of models on the command line: makes and shows them, reads the configured ones, opens the registry with them.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use dhow_engine::Folders;
use dhow_registry::{ModelKeys, Registry, SigningKey};

use crate::arguments::KeysAction;
use crate::configuration::Configuration;
use crate::failure::Failure;
use crate::platform::fresh_seed;

/// The owner reads and writes, and nobody else.
const OWNER_ONLY: u32 = 0o600;
/// The permission bits of others than the owner.
const OTHERS: u32 = 0o077;
/// More bytes than this are no key.
const KEY_FILE_BYTES_MAX: u64 = 1_000;

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
    let wrong = |error: io::Error| {
        let why = match error.kind() {
            io::ErrorKind::AlreadyExists => {
                "it exists already, and a key is never written over; name another file".into()
            }
            _ => error.to_string(),
        };
        Failure::Input(format!("{}: {why}", path.display()))
    };
    let seed = fresh_seed()?;
    let key = SigningKey::from_seed(&seed)?;
    // What a key that exists has signed would be lost with it.
    let mut file = OpenOptions::new().write(true).create_new(true).mode(OWNER_ONLY).open(path).map_err(wrong)?;
    file.write_all(SigningKey::seed_text(&seed).as_bytes()).and_then(|()| file.sync_all()).map_err(wrong)?;
    Ok(key)
}

fn read(path: &Path) -> Result<SigningKey, Failure> {
    let wrong = |error: &dyn std::fmt::Display| Failure::Input(format!("{}: {error}", path.display()));
    let metadata = std::fs::metadata(path).map_err(|error| wrong(&error))?;
    if metadata.permissions().mode() & OTHERS != 0 {
        return Err(wrong(&"others than its owner may use this signing key; `chmod 600` it"));
    }
    if metadata.len() > KEY_FILE_BYTES_MAX {
        return Err(wrong(&dhow_registry::KeyError::NotSecret));
    }
    let text = std::fs::read_to_string(path).map_err(|error| wrong(&error))?;
    SigningKey::from_text(&text).map_err(|error| wrong(&error))
}
