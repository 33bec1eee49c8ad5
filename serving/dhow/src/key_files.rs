//! Files that hold one secret key each: written once for their owner alone, and read only where nobody else can; what a key is for is not known here.

use std::fmt::Display;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use crate::failure::Failure;

/// The owner reads and writes, and nobody else.
const OWNER_ONLY: u32 = 0o600;
/// The permission bits of others than the owner.
const OTHERS: u32 = 0o077;
/// More bytes than this are no key.
const KEY_FILE_BYTES_MAX: u64 = 1_000;

/// What is wrong with a file.
pub fn wrong(path: &Path, error: &dyn Display) -> Failure {
    Failure::Input(format!("{}: {error}", path.display()))
}

/// Writes a key into a new file that its owner alone can use.
///
/// # Errors
/// The file exists already, or cannot be written.
pub fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    let refused = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            wrong(path, &"it exists already, and a key is never written over; name another file")
        }
        _ => wrong(path, &error),
    };
    // What a key that exists has signed or sealed would be lost with it.
    let mut file = OpenOptions::new().write(true).create_new(true).mode(OWNER_ONLY).open(path).map_err(refused)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(refused)
}

/// The text of a file; `what` it holds is named where it is refused.
///
/// # Errors
/// It cannot be read, others than its owner may use it, or it is too long.
pub fn read(path: &Path, what: &str) -> Result<String, Failure> {
    let metadata = std::fs::metadata(path).map_err(|error| wrong(path, &error))?;
    if metadata.permissions().mode() & OTHERS != 0 {
        return Err(wrong(path, &format!("others than its owner may use this {what}; `chmod 600` it")));
    }
    if metadata.len() > KEY_FILE_BYTES_MAX {
        return Err(wrong(path, &format!("a {what} has at most {KEY_FILE_BYTES_MAX} bytes, and this has more")));
    }
    std::fs::read_to_string(path).map_err(|error| wrong(path, &error))
}
